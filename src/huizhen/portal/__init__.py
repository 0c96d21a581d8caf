"""The catalogue's portal: records, questions over sites and requests for access, behind an OpenID login.

Its modules need the extra `portal`; `serving` and `post` say so where it is absent.
"""
