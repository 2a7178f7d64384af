//! How a player joins.
//!
//! Owns: the rule of who decides it: the player's address, the application, or what kind of client it is. Does not know
//! what each way sends; the hub does.

use crate::config::JoinMode;
use crate::rtmp::path::StreamPath;

/// `flashVer` of librtmp, which GStreamer's `rtmp2src` gives as well.
const LIBRTMP: &str = "LNX 10,0,32,18";

/// How the kind of client that calls itself `flash_ver` joins best; `None` for all that have no need of their own.
///
/// Those with librtmp's name are recorders (rtmpdump), which want each frame once, and GStreamer, whose `playbin` shows
/// nothing that moves before it has some seconds of stream time: it is over a second nearer to the live edge where it
/// begins with the next key frame.
pub(super) fn usual_mode(flash_ver: Option<&str>) -> Option<JoinMode> {
    (flash_ver == Some(LIBRTMP)).then_some(JoinMode::Key)
}

/// `?join=edge|gop|key`, and `?gop=0` as other servers have it; else what is set for the application; where that is
/// left at "edge", what is `usual` for the client.
pub(super) fn join_mode(path: &StreamPath, default: JoinMode, usual: Option<JoinMode>) -> JoinMode {
    if let Some(mode) = path.query_value("join").as_deref().and_then(JoinMode::parse) {
        return mode;
    }
    match (path.query_value("gop").as_deref(), default) {
        (Some("0"), _) => JoinMode::Key,
        (_, JoinMode::Edge) => usual.unwrap_or(JoinMode::Edge),
        _ => default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_decides_before_the_application_and_that_before_the_kind_of_client() {
        let librtmp = usual_mode(Some(LIBRTMP));
        let other = usual_mode(Some("LNX 9,0,124,2"));
        for (name, query, default, usual, mode) in [
            ("nothing said", "", JoinMode::Edge, other, JoinMode::Edge),
            ("GStreamer, rtmpdump", "", JoinMode::Edge, librtmp, JoinMode::Key),
            ("the application says so", "", JoinMode::Gop, librtmp, JoinMode::Gop),
            ("asked for", "?join=edge", JoinMode::Gop, librtmp, JoinMode::Edge),
            ("asked for as elsewhere", "?gop=0", JoinMode::Gop, other, JoinMode::Key),
            ("asked for something unknown", "?join=now", JoinMode::Gop, other, JoinMode::Gop),
        ] {
            let path = StreamPath::resolve(None, "live", &format!("stream{query}"));
            let path = path.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            assert_eq!(join_mode(&path, default, usual), mode, "{name}");
        }
    }
}
