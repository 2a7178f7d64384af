//! HLS requests: playlists, segments, and those that wait.

use std::time::Duration;

use rtmpd::config::{HlsConfig, HlsFormat};
use rtmpd::output::hls::{Answer, FileChange, Hls, Response};

use crate::support::frames;
use crate::support::hls::checker::Checker;
use crate::support::hls::playlist::{Playlist, attribute};
use crate::support::hls::rig::{Rig, Source, UNIX_MS};

/// The first media sequence number.
const FIRST: u64 = UNIX_MS / 1_000;

fn text(answer: &Answer) -> String {
    match answer {
        Answer::Ready(Response { body, .. }) => String::from_utf8(body.concat()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn playing() -> Rig {
    let mut rig = Rig::new(HlsConfig::default());
    rig.publish(&Source::default(), 1_000, 20_000);
    rig
}

/// All that is ready.
fn ready(rig: &mut Rig) -> Vec<(u64, Answer)> {
    std::iter::from_fn(|| rig.hls.poll_ready()).collect()
}

#[test]
fn the_multivariant_playlist_leads_to_the_media_playlist_with_session_and_credentials() {
    let mut rig = playing();
    let playlist = rig.get_text("?key=a%22b&_HLS_skip=YES").unwrap();
    let lines: Vec<&str> = playlist.lines().collect();
    let [_, version, info, uri] = lines[..] else { panic!("{playlist}") };
    assert_eq!((version, uri), ("#EXT-X-VERSION:6", "cam/media.m3u8?session=abc&key=a%22b"));
    let (_, list) = info.split_once(':').unwrap();
    assert_eq!(attribute(list, "CODECS"), Some("avc1.42c01e,mp4a.40.2"));
    assert_eq!(attribute(list, "RESOLUTION"), Some("640x368"));
    assert_eq!(attribute(list, "FRAME-RATE"), Some("30.000"));
    let [peak, average] =
        ["BANDWIDTH", "AVERAGE-BANDWIDTH"].map(|name| attribute(list, name).unwrap().parse().unwrap());
    // 60 pictures of 1500 bytes, one of them larger, and sound, in 2 s.
    assert!((400_000..600_000_u64).contains(&average) && peak >= average, "{info}");
    // Segments below inherit what is not ours.
    let media = rig.get_text("media.m3u8?session=abc&key=a%22b").unwrap();
    assert!(media.contains("?key=a%22b\n") && media.contains("?key=a%22b\"") && !media.contains("session"), "{media}");
}

#[test]
fn all_that_wait_for_the_same_part_get_the_same_bytes_when_it_is_there() {
    let mut rig = playing();
    let (msn, part) = open(&mut rig);
    let wanted = format!("_HLS_msn={msn}&_HLS_part={part}");
    assert_eq!(rig.hls.request(rig.now, "media.m3u8", &wanted, 901, 0), Answer::Wait);
    assert_eq!(rig.hls.request(rig.now, "media.m3u8", &wanted, 902, 0), Answer::Wait);
    assert_eq!(rig.hls.request(rig.now, "media.m3u8", &format!("{wanted}&session=5"), 903, 0), Answer::Wait);
    rig.hls.forget(903);
    assert_eq!(ready(&mut rig), []);
    send_until_ready(&mut rig, &[901, 902]);
    let Answer::Ready(one) = rig.request("media.m3u8", "") else { panic!() };
    let Answer::Ready(two) = rig.request("media.m3u8", &wanted) else { panic!() };
    assert_eq!(one.body[0].as_ptr(), two.body[0].as_ptr(), "written twice");
    assert_eq!((one.content_type, one.cache_max_age_s), ("application/vnd.apple.mpegurl", 0));
}

/// Number and part that come next.
fn open(rig: &mut Rig) -> (u64, usize) {
    let playlist = Playlist::parse(&rig.get_text("media.m3u8").unwrap()).unwrap();
    (playlist.next_msn(), playlist.open.map_or(0, |open| open.parts.len()))
}

/// Pictures until something is ready: the tickets that are expected, each with the part.
fn send_until_ready(rig: &mut Rig, tickets: &[u64]) {
    let (msn, part) = open(rig);
    let from_ms = 20_000;
    for frame in Source::default().frames(from_ms, from_ms + 3_000) {
        rig.hls.frame(rig.now, &frame);
        let answers = ready(rig);
        if !answers.is_empty() {
            assert_eq!(answers.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>(), tickets);
            let uri = format!("part-{msn}.{part}.m4s\"");
            assert!(answers.iter().all(|(_, answer)| text(answer).contains(&uri)));
            return;
        }
    }
    panic!("nothing became ready");
}

#[test]
fn the_hinted_part_can_be_asked_for_before_it_is_there() {
    let mut rig = playing();
    let (msn, part) = open(&mut rig);
    let path = format!("part-{msn}.{part}.m4s");
    assert_eq!(rig.hls.request(rig.now, &path, "", 7, 0), Answer::Wait);
    for (path, why) in [
        (format!("part-{msn}.{}.m4s", part + 1), "two ahead"),
        (format!("part-{}.0.m4s", msn + 1), "a segment ahead"),
        (format!("seg-{msn}.m4s"), "not whole"),
        (format!("part-{}.99.m4s", msn - 1), "never was"),
        (format!("seg-{}.m4s", FIRST - 1), "before the first"),
        ("init-1.mp4".to_owned(), "no such"),
        ("other".to_owned(), "no such"),
    ] {
        assert_eq!(rig.request(&path, ""), Answer::NotFound, "{path}: {why}");
    }
    rig.publish(&Source::default(), 20_000, 21_000);
    let answers = ready(&mut rig);
    let [(7, Answer::Ready(response))] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(rig.get(&path).unwrap(), response.body.concat());
    assert_eq!((response.content_type, response.cache_max_age_s > 0), ("video/mp4", true));
}

#[test]
fn a_part_number_behind_the_last_one_means_the_first_of_the_next_segment() {
    let mut rig = playing();
    let (msn, part) = open(&mut rig);
    assert!(part > 0);
    assert!(matches!(rig.request("media.m3u8", &format!("_HLS_msn={}&_HLS_part=99", msn - 1)), Answer::Ready(_)));
    let answer = rig.hls.request(rig.now, "media.m3u8", &format!("_HLS_msn={msn}&_HLS_part={}", part + 2), 5, 0);
    assert_eq!(answer, Answer::Wait);
    // The publisher stops: the segment ends with fewer parts.
    rig.hls.publisher_ended(rig.now);
    assert_eq!(ready(&mut rig), []);
    rig.hls.publisher_began(rig.now);
    let source = Source::default();
    for frame in source.headers().into_iter().chain(source.frames(21_000, 21_400)) {
        rig.hls.frame(rig.now, &frame);
    }
    let answers = ready(&mut rig);
    assert!(text(&answers[0].1).contains(&format!("part-{}.0.m4s\",INDEPENDENT=YES\n", msn + 1)));
}

#[test]
fn what_is_too_far_ahead_or_makes_no_sense_is_refused_at_once() {
    let mut rig = playing();
    let (msn, part) = open(&mut rig);
    for query in [
        format!("_HLS_msn={}", msn + 2),
        format!("_HLS_msn={}", u64::MAX),
        format!("_HLS_msn={msn}&_HLS_part={}", part + 10),
        "_HLS_part=1".to_owned(),
        "_HLS_msn=x".to_owned(),
    ] {
        assert!(matches!(rig.request("media.m3u8", &query), Answer::BadRequest(_)), "{query}");
    }
    assert_eq!(rig.request("media.m3u8", &format!("_HLS_msn={}", msn + 1)), Answer::Wait);
    assert!(matches!(rig.request("media.m3u8", "_HLS_msn=0"), Answer::Ready(_)));
}

#[test]
fn who_waits_for_a_publisher_that_hangs_is_told_so_after_three_target_durations() {
    let mut rig = playing();
    let (msn, _) = open(&mut rig);
    assert_eq!(rig.hls.request(rig.now, "media.m3u8", &format!("_HLS_msn={msn}"), 5, 0), Answer::Wait);
    rig.now += Duration::from_millis(5_999);
    rig.hls.handle_timeout(rig.now);
    assert_eq!(ready(&mut rig), []);
    rig.now += Duration::from_millis(1);
    assert_eq!(rig.hls.poll_timeout(), Some(rig.now));
    rig.hls.handle_timeout(rig.now);
    assert_eq!(ready(&mut rig), [(5, Answer::Unavailable)]);
}

#[test]
fn hls_js_survives_a_publisher_that_is_away_because_it_gets_the_playlist_it_knows() {
    let mut rig = playing();
    rig.hls.publisher_ended(rig.now);
    let (msn, part) = open(&mut rig);
    assert_eq!(part, 0);
    let wanted = format!("_HLS_msn={msn}&_HLS_part=0");
    assert_eq!(rig.hls.request(rig.now, "media.m3u8", &wanted, 5, 0), Answer::Wait);
    rig.now += Duration::from_secs(6);
    rig.hls.handle_timeout(rig.now);
    let answers = ready(&mut rig);
    assert!(text(&answers[0].1).ends_with(&format!("URI=\"part-{msn}.0.m4s\"\n")));
}

#[test]
fn the_end_answers_everybody() {
    let mut rig = playing();
    let (msn, part) = open(&mut rig);
    let hinted = format!("part-{}.0.m4s", msn + 1);
    assert_eq!(rig.hls.request(rig.now, "media.m3u8", &format!("_HLS_msn={}", msn + 1), 1, 0), Answer::Wait);
    let next = format!("part-{msn}.{part}.m4s");
    assert_eq!(rig.hls.request(rig.now, &next, "", 2, 0), Answer::Wait);
    rig.hls.ended(rig.now);
    let answers = ready(&mut rig);
    assert!(text(&answers[0].1).ends_with("#EXT-X-ENDLIST\n"));
    assert!(matches!(answers[1].1, Answer::Ready(_)));
    assert_eq!(rig.request(&hinted, ""), Answer::NotFound);
    assert!(matches!(rig.request("media.m3u8", "_HLS_msn=99999999999"), Answer::Ready(_)));
}

#[test]
fn the_first_playlist_comes_with_the_first_whole_segment() {
    let mut rig = Rig::new(HlsConfig::default());
    for (ticket, path) in [(1, ""), (2, "media.m3u8"), (3, "media.m3u8")] {
        assert_eq!(rig.hls.request(rig.now, path, "", ticket, 0xF), Answer::Wait);
    }
    rig.hls.forget(3);
    assert_eq!(rig.hls.idle_at(), None);
    let source = Source::default();
    for frame in source.headers().into_iter().chain(source.frames(1_000, 3_000)) {
        rig.hls.frame(rig.now, &frame);
    }
    assert_eq!(ready(&mut rig), []);
    rig.hls.frame(rig.now, &frames::video(3_000, true, 0, 100));
    let answers = ready(&mut rig);
    assert!(text(&answers[0].1).ends_with("cam/media.m3u8?session=f\n"));
    let media = text(&answers[1].1);
    assert_eq!(Checker::default().playlist(0, &media), Vec::<String>::new());
    // The frames came all at once: the last one is the one of now.
    assert!(media.contains("#EXT-X-PROGRAM-DATE-TIME:2024-02-29T11:59:58.000Z\n"), "{media}");
    assert_eq!(rig.hls.idle_at(), Some(rig.now + Duration::from_secs(30)));
}

#[test]
fn nobody_waits_for_ever_for_a_stream_without_frames() {
    let mut rig = Rig::new(HlsConfig::default());
    assert_eq!(rig.hls.request(rig.now, "media.m3u8", "", 1, 0), Answer::Wait);
    assert_eq!(rig.hls.request(rig.now, "", "", 2, 0), Answer::Wait);
    rig.now = rig.hls.poll_timeout().unwrap();
    rig.hls.handle_timeout(rig.now);
    assert_eq!(ready(&mut rig), [(1, Answer::Unavailable), (2, Answer::Unavailable)]);
    assert_eq!(rig.hls.request(rig.now, "media.m3u8", "", 3, 0), Answer::Wait);
    rig.hls.ended(rig.now);
    assert_eq!(ready(&mut rig), [(3, Answer::NotFound)]);
}

#[test]
fn only_so_many_requests_may_wait() {
    let mut rig = Rig::new(HlsConfig { waiting_requests: 2, ..HlsConfig::default() });
    let answers = [1, 2, 3].map(|ticket| rig.hls.request(rig.now, "", "", ticket, 0));
    assert_eq!(answers, [Answer::Wait, Answer::Wait, Answer::Unavailable]);
    rig.hls.forget(1);
    assert_eq!(rig.hls.request(rig.now, "", "", 4, 0), Answer::Wait);
}

#[test]
fn the_window_keeps_to_its_bytes() {
    let mut rig = Rig::new(HlsConfig { window_bytes: 1_048_576, ..HlsConfig::default() });
    let source = Source { has_audio: false, ..Source::default() };
    for header in source.headers() {
        rig.hls.frame(rig.now, &header);
    }
    for picture in source.frames(1_000, 60_000) {
        // 4.6 Mbit/s: the window holds less than 2 s.
        let large = frames::video(picture.timestamp_ms, picture.is_video_key(), 0, 19_000);
        rig.hls.frame(rig.now, &large);
        let held: usize =
            (FIRST..FIRST + 300).filter_map(|msn| rig.get(&format!("seg-{msn}.m4s"))).map(|s| s.len()).sum();
        assert!(held <= 1_048_576, "{held}");
    }
    let playlist = Playlist::parse(&rig.get_text("media.m3u8").unwrap()).unwrap();
    assert!((2..10).contains(&playlist.segments.len()), "{}", playlist.segments.len());
}

#[test]
fn a_publisher_that_stops_its_clock_is_held_to_limits() {
    let mut rig = Rig::new(HlsConfig { window_bytes: 1_048_576, ..HlsConfig::default() });
    for header in Source::default().headers() {
        rig.hls.frame(rig.now, &header);
    }
    for number in 0..20_000_u64 {
        rig.hls.frame(rig.now, &frames::video(1_000, number % 100 == 0, 0, 2_000));
        rig.hls.frame(rig.now, &frames::audio(1_000, 200));
    }
    assert_eq!(rig.get("media.m3u8").map(|playlist| playlist.len() < 200_000), Some(true));
}

#[test]
fn with_nobody_watching_the_target_duration_may_follow_the_encoder() {
    let mut rig = playing();
    let target = |rig: &mut Rig| Playlist::parse(&rig.get_text("media.m3u8").unwrap()).unwrap().target_s;
    assert_eq!(target(&mut rig), 2);
    rig.now += Duration::from_secs(31);
    let source = Source { gops: vec![150], ..Source::default() };
    for frame in source.frames(21_000, 60_000) {
        rig.hls.frame(rig.now, &frame);
    }
    let playlist = Playlist::parse(&rig.get_text("media.m3u8").unwrap()).unwrap();
    assert_eq!((playlist.target_s, playlist.is_independent), (5, true));
}

#[test]
fn a_video_header_without_pictures_does_not_hold_up_the_sound() {
    let mut rig = Rig::new(HlsConfig::default());
    rig.hls.frame(rig.now, &frames::video_header(640, 368));
    rig.publish(&Source { steps_ms: vec![], ..Source::default() }, 1_000, 20_000);
    rig.assert_fine();
    assert!(rig.checker.segments.len() >= 5);
    let info = rig.get_text("").unwrap();
    assert!(info.contains("CODECS=\"mp4a.40.2\"") && !info.contains("RESOLUTION"), "{info}");
    let Answer::Ready(segment) = rig.request(&rig.checker.segments[&FIRST].clone(), "") else { panic!() };
    assert_eq!(segment.content_type, "audio/mp4");
    // Should there be a picture after all, it is a new beginning.
    rig.hls.frame(rig.now, &frames::video_header(640, 368));
    rig.publish(&Source::default(), 20_000, 30_000);
    rig.assert_fine();
    assert!(rig.get_text("").unwrap().contains("RESOLUTION=640x368"));
}

#[test]
fn an_audio_header_that_comes_late_is_in_the_first_segment_all_the_same() {
    let mut rig = Rig::new(HlsConfig::default());
    rig.hls.frame(rig.now, &frames::video_header(640, 368));
    let all = Source::default().frames(1_000, 6_000);
    for frame in &all {
        if frame.timestamp_ms == 1_301 || frame.timestamp_ms == 1_300 {
            rig.hls.frame(rig.now, &frames::audio_header(false));
        }
        rig.hls.frame(rig.now, frame);
    }
    let playlist = Playlist::parse(&rig.get_text("media.m3u8").unwrap()).unwrap();
    assert!(playlist.all().all(|segment| !segment.discontinuity));
    assert!(rig.get_text("").unwrap().contains("mp4a.40.2"));
}

#[test]
fn files_are_written_before_the_playlist_that_names_them() {
    let config = HlsConfig { directory: "/srv/hls".to_owned(), removed_ms: 0, ..HlsConfig::default() };
    let mut rig = Rig::new(config);
    let source = Source::default();
    let mut files = std::collections::BTreeMap::new();
    let mut checker = Checker::default();
    let frames: Vec<_> = source.headers().into_iter().chain(source.frames(1_000, 60_000)).collect();
    for frame in frames {
        rig.wait_until(frame.timestamp_ms);
        rig.hls.frame(rig.now, &frame);
        while let Some(effect) = rig.hls.poll_file() {
            match effect.change {
                FileChange::Write(body) => assert_eq!(files.insert(effect.name, body.concat()), None),
                FileChange::Replace(body) => {
                    files.insert(effect.name.clone(), body.concat());
                    if effect.name == "media.m3u8" {
                        let text = String::from_utf8(body.concat()).unwrap();
                        assert_eq!(checker.playlist(rig.at_ms(), &text), Vec::<String>::new());
                        let playlist = checker.last().unwrap();
                        let named = playlist.all().flat_map(|segment| segment.uri.iter().chain(&segment.map));
                        named.for_each(|name| assert!(files.contains_key(name), "{name}"));
                    }
                }
                FileChange::Remove => assert!(files.remove(&effect.name).is_some(), "{}", effect.name),
            }
        }
    }
    assert!(checker.segments.len() > 25);
    assert!(files.len() < 25, "{}", files.len());
    assert!(String::from_utf8(files["index.m3u8"].clone()).unwrap().ends_with("\nmedia.m3u8\n"));
}

#[test]
fn stream_names_are_encoded_and_mpeg_ts_has_its_own_types() {
    let rig = Rig::new(HlsConfig::default());
    let config = HlsConfig { format: HlsFormat::Ts, ..HlsConfig::default() };
    let mut hls = Hls::new(config, "live/my cam: ä", rig.now, UNIX_MS);
    let source = Source::default();
    for frame in source.headers().into_iter().chain(source.frames(1_000, 6_000)) {
        hls.frame(rig.now, &frame);
    }
    let index = text(&hls.request(rig.now, "", "", 1, 1));
    assert!(index.ends_with("\nmy%20cam%3A%20%C3%A4/media.m3u8?session=1\n"), "{index}");
    assert!(index.contains("CODECS=\"avc1.42"), "{index}");
    let Answer::Ready(segment) = hls.request(rig.now, &format!("seg-{FIRST}.ts"), "", 2, 2) else { panic!() };
    assert_eq!(segment.content_type, "video/mp2t");
    assert_eq!(hls.request(rig.now, &format!("part-{}.0.m4s", FIRST + 2), "", 3, 3), Answer::NotFound);
}
