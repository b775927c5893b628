# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dumps by pg_dump 15 and 18 of one small database, for tests.

Database tiny: table t with three rows (one with letters that are not ASCII, one with a backslash, tab and line feed,
one with a null), table u without rows, large object 77.
"""

from __future__ import annotations

import base64
import zlib


def _unpacked(text):
    return zlib.decompress(base64.b64decode(text))


# pg_dump -Fc of version 15, written to a file.
CUSTOM_15 = _unpacked(
    "eNqtlc9P02AYx7uBgjNDTUATE8kbNXQLY9INthnlULYCw402XdF4arqujMbSLe07Mi+cPJhw4KrRm4mJ/4NXjZGTF72j/4NX3/dZu19ZkaBN+r"
    "TP+z5v38+377dvpfVCWQpNMeOToVCIIcc4DZdoiNJwk4YIDQeMf9ASbNrPmVlywy0nuRyKFYyqqdkIsoXF+ZpR5VItLn6WEnj6dNR/OqVY9OIk"
    "icJWXiwUt9YHkzAtpQ+vCArSLdOwsWrYeqNm2nW0gthtZS3HPoiApsDAXCDnjma5BqRjXYUzI2koaEUpVBSZEFSGUyCKeUQu1uya5tRUvWHvNJ"
    "w9QqW62CEXl9I17POzXQ9mE3g5vyHxysZwCmw5aCsJeQU166quYc1q1JOugQHSrMdY19AcfVdtaniXTSCWnAAQPzfrjWi/Z7hUJgWlXGYple3Z"
    "iC5sgVf4Vb4idFAtcuZlgVcE5HcgWoqeFJUNpAhlqUT7VhA29pqWho1F5Duju/ioJOb5kqBKsvi4WBBk0mGZVd1rpmX5JClcoDZhpimCLEqD04"
    "3WDbzNhovrjuEGSv/ODEpfvt+VnoM1w5CT2Uqe6ExPNLSiZqtqmXoSo1gEkcOsIdPGRt1wEpDvE/VtHCGrw8z4+IMDPX7mIgWGth7RrqE1z6bk"
    "R6CSdBqUtIaVxAOUtDwlbV/IKfCt/wN/dcCBqQyXBsRs1r/Q5tWSuNohvzPyG7Eaqu4YxGYxNptlKXNgXcu2TPuZX3d++0xFvQ/c+76HvRPx3z"
    "g4Fgb2TXGbLoAoPe2zkFlLoP04WpPFMtmdyDZJVPRe7V/xYIYUtwQ14UcTHuaV0ZhdY5yOOTuESfzR/mfE5Q7igY94bQixB0qXvdJ3N3baHhe4"
    "24XfTPjbMSwatUb7bfrXw48vjl+mubm5+Pu7c/deH79Kfz6aXzs6PLxMBE2EvCHwAqMw5PDbz5OTMBP+xHyAzrEOehl+j1BxXExsittfxK+b5W"
    "SIufV7/F3XL8wfO747Ew=="
)

# The same of version 18.
CUSTOM_18 = _unpacked(
    "eNqtlUFPE0EUx2crWFiDcsCLiWSihlIttdtCC1EOS7tAScs220XjwTTLdimbbLfN7pQUD548mHDgqok3ExO/g1eNkZNnPaHfwaszb3dbuqEEAp"
    "PM25nZN53f/70328paoVzhJtHIGMehcUQbmAlm7jDDM/MaBW2EdmLa+zAQFpPz/QF4TvCBJ0d7yrdj1EqbeblQ3FwbnESY6zTtVUnFumUaNqkZ"
    "tt6qm3YDL+PYlrq6GHvCc+x3TjPeUTAapX1Hs1wDptd6yDdPRWKLVbVQVRWKUQ1PAWvWx3KJZtc1p17TW/ZOy2lStJpLHPpwGWLLviTgreGAkq"
    "jk1yuiuh6eAuAirJWkvIrbjZquEc1qNZKuQYDUbMzGXENz9N1aWyO7sQSO0Q4A8csBT/Iny0FIZ9PgKmTnM6l+hbA8F0RVXBGrksdr0Z5XJFGV"
    "cPACM1f8vKiuY1UqV0rs3TImRrNtacRI4aBQerWAS3JeLEm1iiI/KxYkhb6wzG3dX2Zu+SR1nGNVg6YYgiJXBo87XbzXGHS75ZKGY7hD9f9Cg/"
    "oXlnr6BcgegTk9suQrz/aVwypud7YtU08SPMtj2sw6Nm1iNAwnAfM9GoIu4Wme0O1Aw+BGXwS6zoBhrU+0a2ht5Jxbzu/hcrIgpxOWEx8ip+PL"
    "6QZqzlDQuUIFUd6/PP7dCWeDD/ChEGDjicTfY2rkyosTSTHrCbwXx6uKXKbXn36MqIw+5/mKBo5JC0vgGHkYDZyHsAahPpt1OsRKI969Es50yu"
    "N8GXCOD1zydFbIQO5zueDB/iNWSvIKLkuq2GMFk8vxcNjcHK53ms39S943PhQyz/oYoz5GNRSqi57pyVzILvmDnOAF5FU0+DZDld2nvfsh8/fp"
    "lzdHbzPCzEz804OZx++P3mW+HT5aPTw4uEGDH+X8LZDsCdhy8PPP8XEERb6iz8iLE8gqs/EUeBwVExvy1nf5x0Y5yaG7/0Y+9pDRf6e1II8="
)

# pg_dump -Fc -Z0 of version 18, written to a pipe: without places of the data.
UNCOMPRESSED_18 = _unpacked(
    "eNqtld1u2jAUx83abuCtWy+2m11U1m6gEiACLR+aehEgLUhAopBtmoSEQnBDppCgxFT0Zk+zN9ljbA8z20kIRFB1opZ84o9j+/f3OQbltt1XUm"
    "fgOJ0C4DWgJcPMKTMfmYHM/ARROaaVWM4Dbwj14mXc4J6nMPKk+4FSaNPUSoOW3O4Obrc7L5jrOa1DSUOGbWGHjLFjuFPLMdE1yn7RburZzzDF"
    "9tllgqN464TWO932Me8erZHf7kRig0OtPdRUijFMdjlWLsTyie5MdW86NlznzvXmFG3sE49+fIboOgcCvtsPKIlqq6OIWifZ5YB1PtaTWhpamG"
    "NDJ7rtmkUfE05qmbmsj3XPmI0XOpll8yhLKwe4OAz4DG6mg1CulrmrUL2slOIMYXFui5rYFIdSwGvT2lIlUZNQNIGYK/rW1TpIk/pKj81dI4Ln"
    "C1snuISiRFnnAurJLbEnjRVV/tptSyqdsK2JEQ4zt1aROhZY1oD3DEGVle3jdosPCoNeuD4xPezv1f8HbOu/aqz1Czx6hPfpkb1QeTVWzkfRYj"
    "mxLaNIUA4iWqwpshyCTezlef+eXsGKQBon8CHSsL0wFAFeMmA+FhPNsL4A3pPl/N0vp8rlLJNyLvbIWYZyVpGaRxQsn1HBKxg+nvDtJKMBI3ye"
    "CHzhRuA/MTWy8n0jKNY0j+4v0I0q9+nzpz9GVEbM+bSk4ceUhUbgHTvvYY2u+nHW8wQrvfHVs3CWSwnOzNYjL1eFCo99rRZ92H9Esyc3UV/SxD"
    "UrN7Ua5IcVCmi6nM8fDnxvMHFlgQ0xTkKMYeKq/vfMQOZVtRE2asL2haSCLOPhyvz+BcEb5pbRR6PJiIwcA/KpSmY0CFqjIoQwXJmOVsaDR4Gq"
    "PmuznWzdMzFyJz+wQdak4B+kww/4"
)

# toc.dat of pg_dump -Fd of version 18.
CONTENTS_18 = _unpacked(
    "eNqtlUFvmzAUx5213VKkdj10lx0qa5ckUhIF2pBEUw+E0CYSKYiwTTshApQgEYjAqdLLvuj2YWYbCAUlVbfW0nvYzw/8+/vZiXo7mqqVM3BYPa"
    "gABuB2TNwJcZ+Jo7FfIGuH2JAXPNIO229f5R2aecJkmRVsndRXsZfuRGU0ubstDt6R1AtsM0mHlu85ATKcwAptL3DhNax902/6ta9MhXxnl0uW"
    "or0jbPemHzv5BDjdiUOCM3000zWMMCsPKVI9RYqRGdhmZBtWGNyH0RJjGTGK8CMmeGHwCriP++EkQRPHqqCPy0MK16cxWRJ1uHINy0SmH7rt2E"
    "GU0nPrtdgxI2thrEy0qDVhDRtdvPH/sGfM0yPAcjxH01j+6rKTnwpS25GgC0NhJiWsPjZRkwRdgtkEJKnwx0QfQ12aqjKZu4bIWa58EzkdmB2O"
    "bf2hrIiCLBmqpnyfjCQNT/je3ErDJE1s48QWOSngnCBoilpcbrfwpBHoVRgjN3Lindp/g6L27mCrnaVVQ3SMl5NT1Xyumkbhaj33PauNYJ2BuH"
    "k29ALkuE7UpOMHLH+DGFwf8CnjL76YCgDvCSyN5UQLx1yB6EVS/uyXwlMp67KUxh4p61TKJlPyDP36jeg/MOllSe9KuQpMhk6LDw6Kxf5ClCjq"
    "zyfF8OwmfGjAG02Z4quOf3SwhJzxZQeFLsOxgySR5HBdvte2TQSqe3izrX6e96LEi3d88yasXKfA2qesx4ULzvHsJa1/r5c9yH/CUFaGcCrpwp"
    "aXul6PoR9rtaC9Xi4fX3HXmNKWJT5FOEoRZqWt+tf1EoldfpB2emzyyim2uR/OYwPHOm0UWn8BZW4MKw=="
)
