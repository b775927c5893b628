-- Copyright (c) 2026, Restorable Backups contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- A small shop: what every stack's database holds. :seed differs from stack to stack.
SELECT setseed((:seed % 1000) / 1000.0) \g /dev/null

CREATE TABLE customers (
    id integer PRIMARY KEY,
    name text NOT NULL,
    city text NOT NULL,
    email text UNIQUE NOT NULL,
    joined_on date NOT NULL
);
CREATE TABLE products (
    id integer PRIMARY KEY,
    title text NOT NULL,
    price numeric(8, 2) NOT NULL CHECK (price > 0),
    tags text[] NOT NULL
);
CREATE TABLE "order" (
    id integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers,
    placed_at timestamptz NOT NULL,
    note text
);
CREATE TABLE order_lines (
    order_id integer NOT NULL REFERENCES "order",
    line integer NOT NULL,
    product_id integer NOT NULL REFERENCES products,
    quantity integer NOT NULL,
    PRIMARY KEY (order_id, line)
);
CREATE TABLE sessions (
    token uuid PRIMARY KEY,
    customer_id integer REFERENCES customers,
    payload bytea
);
CREATE VIEW revenue AS
    SELECT o.customer_id, sum(l.quantity * p.price) AS total
    FROM "order" o JOIN order_lines l ON l.order_id = o.id JOIN products p ON p.id = l.product_id
    GROUP BY o.customer_id;

INSERT INTO customers
SELECT n,
       (ARRAY['Zoë', 'Jürgen', 'Łukasz', '美咲', 'O''Brien', 'Ольга', 'Nadia', 'Søren'])[1 + n % 8] || ' ' || n,
       (ARRAY['Köln', 'São Paulo', '東京', 'Kraków', 'Dublin'])[1 + n % 5],
       'customer' || n || '@example.com',
       date '2020-01-01' + (n % 1500)
FROM generate_series(1, 1200 + :seed % 300) n;

-- Some titles end in a backslash, and in notes it stands before letters that mean something after one.
INSERT INTO products
SELECT n, 'Product № ' || n || CASE WHEN n % 50 = 0 THEN ' \' ELSE '' END, (1 + (n * 37) % 9900) / 100.0 + 0.01,
       CASE WHEN n % 3 = 0 THEN ARRAY['new', 'tab' || chr(9) || 'inside'] ELSE ARRAY['back\slash'] END
FROM generate_series(1, 300) n;

INSERT INTO "order"
SELECT n, 1 + (random() * 1199)::int, timestamptz '2024-01-01 00:00Z' + n * interval '7 minutes',
       CASE n % 20 WHEN 0 THEN 'first line' || chr(10) || 'second line' WHEN 1 THEN '' WHEN 2 THEN 'leave at № 5 ☂'
            WHEN 3 THEN 'C:\new\table' END
FROM generate_series(1, 2400 + :seed % 500) n;

INSERT INTO order_lines
SELECT id, line, 1 + (random() * 299)::int, 1 + (random() * 4)::int
FROM "order", generate_series(1, 2 + id % 3) line;

INSERT INTO sessions
SELECT md5('session' || n)::uuid, nullif(n % 1200, 0), decode(repeat(md5(n::text), 4), 'hex')
FROM generate_series(1, 800) n;

ANALYZE;
