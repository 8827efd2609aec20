"""Who may look and who may act: accounts, sessions, and what is refused.

Cookies and the signing of sessions are Flask's and Flask-Login's, tokens against forged requests Flask-WTF's, password
hashes werkzeug's (scrypt, RFC 7914). Ours is what they leave open: sessions that end when they should, and a limit of
attempts by an injected clock.
"""
