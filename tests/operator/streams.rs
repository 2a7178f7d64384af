//! What the API says of a stream, held against what was published and who watches it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::http::Http;
use super::media::{Scratch, ffmpeg};
use super::program::Program;
use super::server::Server;

const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(200);

/// Somebody who watches over HTTP and reads all that comes.
struct Watcher {
    stream: TcpStream,
    reader: Option<JoinHandle<()>>,
}

impl Watcher {
    fn start(host: SocketAddr, path: &str) -> Watcher {
        let mut stream = TcpStream::connect(host).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
        let mut read = stream.try_clone().unwrap();
        let reader = std::thread::spawn(move || {
            let mut bytes = vec![0; 65_536];
            while read.read(&mut bytes).is_ok_and(|count| count > 0) {}
        });
        Watcher { stream, reader: Some(reader) }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

/// 640x360, 30 pictures a second, a key frame every 2 s; AAC, 44.1 kHz, stereo.
fn publish(url: &str) -> Program {
    let mut command = ffmpeg();
    command.args(["-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"]);
    command.args(["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100", "-ac", "2"]);
    command.args(["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"]);
    command.args(["-g", "60", "-sc_threshold", "0", "-c:a", "aac", "-b:a", "96k", "-f", "flv", url]);
    Program::start("publisher", &mut command)
}

fn ask(http: &mut Http, path: &str) -> Value {
    serde_json::from_slice(&http.get(&format!("/api/v1/{path}")).body).unwrap()
}

/// The stream, once `is_told` says that it was looked at for long enough.
fn stream_once(http: &mut Http, mut is_told: impl FnMut(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stream = ask(http, "streams/live/cam");
        if is_told(&stream) {
            return stream;
        }
        assert!(Instant::now() < deadline, "never came to it: {stream}");
        std::thread::sleep(STEP);
    }
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn a_stream_is_told_as_it_is_published_and_played() {
    let scratch = Scratch::new();
    let server = Server::start(&scratch, "");
    let publisher = publish(&server.url("cam"));
    server.wait_for_log("publishes live/cam", 1);
    let mut player = ffmpeg();
    player.args(["-i", &server.url("cam"), "-c", "copy", "-f", "null", "-"]);
    let player = Program::start("player", &mut player);
    let watchers = ["flv", "ts", "mp4"].map(|form| Watcher::start(server.http, &format!("/live/cam.{form}")));
    let (mut viewer, mut http) = (Http::connect(server.http), Http::connect(server.http));
    let playlist = viewer.get("/live/cam.m3u8").text();
    let media = format!("/live/{}", playlist.lines().last().unwrap());

    let begun = Instant::now();
    let first = ask(&mut http, "streams/live/cam");
    let stream = stream_once(&mut http, |stream| {
        assert_eq!(viewer.get(&media).status, 200);
        begun.elapsed() > Duration::from_secs(6) && stream["video"]["gop_ms"].is_number()
    });
    let seconds = begun.elapsed().as_secs_f64();
    let video = &stream["video"];
    for (name, expected) in [("codec", json!("H.264")), ("width", json!(640)), ("height", json!(360))] {
        assert_eq!(video[name], expected, "{name}");
    }
    assert_eq!((&video["frame_rate"], &video["gop_ms"]), (&json!(30.0), &json!(2_000)));
    let audio = &stream["audio"];
    for (name, expected) in [("codec", json!("AAC")), ("sample_rate", json!(44_100)), ("channels", json!(2))] {
        assert_eq!(audio[name], expected, "{name}");
    }
    // The rates are those at which the bytes came.
    let number = |value: &Value| value.as_f64().unwrap();
    let came = (number(&stream["bytes_in"]) - number(&first["bytes_in"])) * 8.0 / seconds;
    let told = number(&video["bitrate_bps"]) + number(&audio["bitrate_bps"]);
    assert!((0.7..1.4).contains(&(told / came)), "{told} bit/s are told, {came} bit/s came");
    assert_eq!(stream["players"], json!({ "rtmp": 1, "flv": 1, "ts": 1, "mp4": 1, "hls": 1 }));
    assert_eq!(
        (&stream["anomalies"], &stream["dropped_messages"], &stream["warnings"]),
        (&json!(0), &json!(0), &json!([]))
    );
    let (p50, p99) = (number(&stream["delay_us"]["p50"]), number(&stream["delay_us"]["p99"]));
    assert!(p50 > 0.0 && p50 <= p99 && number(&stream["lag_ms"]) < 5_000.0, "{stream}");
    // Four get each byte, and one HLS.
    assert!(number(&stream["bytes_out"]) > 3.0 * number(&stream["bytes_in"]), "{stream}");
    let clients = ask(&mut http, "clients?stream=live/cam");
    let of = |role: &str| clients.as_array().unwrap().iter().filter(|client| client["role"] == role).count();
    assert_eq!((of("publisher"), of("player"), of("none")), (1, 5, 1), "{clients}");
    drop(watchers);
    player.kill();
    publisher.kill();
    server.stop();
}
