//! Telling HTTP from the Redis protocol by its first bytes.

const VERBS: [&[u8]; 4] = [b"GET /", b"HEAD /", b"POST /", b"OPTIONS /"];

/// Whether input begins like an HTTP request; `None`: too little of it is here.
#[must_use]
pub fn looks_like_http(input: &[u8]) -> Option<bool> {
    if VERBS.iter().any(|verb| input.starts_with(verb)) {
        return Some(true);
    }
    let may_become = VERBS.iter().any(|verb| verb.starts_with(input));
    if may_become { None } else { Some(false) }
}
