//! Who may use the API.
//!
//! Owns: the token, and what counts as this machine. Does not know what is asked for.

use std::net::{IpAddr, SocketAddr};

use sha2::{Digest, Sha256};

use crate::config::ApiConfig;
use crate::http::{Method, Request};

/// Fields that a proxy adds: the peer is the proxy then, wherever the request came from.
const PROXY_FIELDS: [&str; 4] = ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"];

/// Lets a request pass, or says with which status it is refused, and why.
pub(super) fn check(config: &ApiConfig, peer: SocketAddr, request: &Request) -> Result<(), (u16, &'static str)> {
    if config.token.is_empty() {
        if !peer.ip().to_canonical().is_loopback() || PROXY_FIELDS.iter().any(|name| request.header(name).is_some()) {
            return Err((403, "only this machine may ask; set api.token for others"));
        }
        // A page of another site whose name leads here (DNS rebinding) is on this machine as well.
        if !request.header("Host").is_none_or(is_local_host) {
            return Err((403, "ask for an address or for localhost; set api.token for other names"));
        }
    } else if !has_token(&config.token, request) {
        return Err((401, "this needs Authorization: Bearer TOKEN"));
    }
    let changes = !matches!(request.method, Method::Get | Method::Head);
    if changes && !is_same_origin(request) {
        return Err((403, "pages of other sites may change nothing"));
    }
    Ok(())
}

/// Takes as long for any token: what is compared are digests, which nobody can choose.
fn has_token(token: &str, request: &Request) -> bool {
    let Some((scheme, given)) = request.header("Authorization").and_then(|value| value.split_once(' ')) else {
        return false;
    };
    scheme.eq_ignore_ascii_case("bearer") && Sha256::digest(given.trim()) == Sha256::digest(token)
}

/// `localhost` or an address, with a port or without.
fn is_local_host(host: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && !host.ends_with(']') => name,
        _ => host,
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// Whether a browser sent this for a page of this server, or no browser did.
fn is_same_origin(request: &Request) -> bool {
    let Some(origin) = request.fields.all("Origin").next() else { return true };
    let origin = str::from_utf8(origin).unwrap_or_default();
    let site = origin.split_once("://").map(|(_, site)| site);
    site.is_some_and(|site| request.header("Host").is_some_and(|host| host.eq_ignore_ascii_case(site)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_addresses_and_one_name() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8080", "192.0.2.1:1"] {
            assert!(is_local_host(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example:8080", "evil.example:80", ":80", "[::1", "127.0.0.1.x"]
        {
            assert!(!is_local_host(host), "{host}");
        }
    }
}
