//! Token issue (OAuth 2.0) and verification (JWT, JWKS).
