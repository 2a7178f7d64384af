//! The console: the operator's page at `/`.
//!
//! Owns: the files of the page, and what a browser lets it do. What it shows, the page fetches from the API itself.

use bytes::Bytes;

use crate::http::{Request, Response};

const PAGE: &str = include_str!("console/index.html");
const STYLE: &str = include_str!("console/console.css");
const SCRIPT: &str = include_str!("console/console.js");

/// The file of the console that `request` asks for; `None`: it asks for something else.
pub(super) fn file(request: &Request) -> Option<Response> {
    let (content_type, text) = match request.path.as_str() {
        "/" => ("text/html; charset=utf-8", PAGE),
        "/console.css" => ("text/css; charset=utf-8", STYLE),
        "/console.js" => ("text/javascript; charset=utf-8", SCRIPT),
        _ => return None,
    };
    let response = Response::new(200, content_type, Bytes::from_static(text.as_bytes()))
        .with_header("Content-Security-Policy", policy(request.header("Host").unwrap_or_default()))
        .with_header("Referrer-Policy", "no-referrer")
        .with_header("Cross-Origin-Opener-Policy", "same-origin");
    Some(response)
}

/// Nothing but what comes from this server, and no script or style within the page: names of streams can never run.
/// Not every browser counts WebSocket on the same host as `'self'`, so they are named.
fn policy(host: &str) -> String {
    let is_plain = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-'));
    let sockets = if is_plain { format!(" ws://{host} wss://{host}") } else { String::new() };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; \
         connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_none_comes_not_into_the_policy() {
        assert!(policy("tv.example:8080").contains("connect-src 'self' ws://tv.example:8080 wss://tv.example:8080;"));
        for host in ["", "a b", "x; script-src *", "[::1]:8080", "a,b", "*"] {
            assert!(policy(host).contains("connect-src 'self'; base-uri"), "{host}");
        }
    }

    #[test]
    fn the_page_has_nothing_that_its_policy_forbids() {
        assert!(!PAGE.contains("<style") && !PAGE.contains(" style=") && !PAGE.contains(" onclick="));
        assert_eq!(PAGE.matches("<script").count(), 1);
        for text in [PAGE, STYLE, SCRIPT] {
            let strange = text.match_indices("//").filter(|(at, _)| text[..*at].ends_with("http:"));
            let strange: Vec<&str> = strange.map(|(at, _)| &text[at..text.len().min(at + 20)]).collect();
            assert!(
                strange.iter().all(|url| url.starts_with("//www.w3.org/") || url.starts_with("//${")),
                "{strange:?}"
            );
        }
        // What others have named is only ever set as text.
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!SCRIPT.contains(word), "{word}");
        }
    }
}
