//! Each way to watch in a browser, and publishers that come back while somebody does.

use super::media::publish_endless;
use super::server::Server;
use super::watcher::Watcher;

/// Publishes, plays `file` in one way, and waits until pictures move.
fn expect_moving_pictures(way: &str, scheme: &str, file: &str) {
    let server = Server::start_with_http();
    let publisher = publish_endless(&server.url("cam"));
    server.wait_for_log("publishes live/cam", 1);
    let watcher = Watcher::start(way, &server.web_url(scheme, file));
    watcher.wait_until_moving(0);
    watcher.stop();
    publisher.kill();
    server.stop();
}

/// The same, and has the publisher die and come back.
fn expect_moving_pictures_after_a_crash(way: &str, scheme: &str, file: &str) {
    let server = Server::start_with_http();
    let crashing = publish_endless(&server.url("cam"));
    server.wait_for_log("publishes live/cam", 1);
    let watcher = Watcher::start(way, &server.web_url(scheme, file));
    watcher.wait_until_moving(0);
    crashing.kill();
    let publisher = publish_endless(&server.url("cam"));
    server.wait_for_log("publishes again live/cam", 1);
    watcher.wait_until_moving(watcher.looks());
    watcher.stop();
    publisher.kill();
    server.stop();
}

#[test]
#[ignore = "needs Chromium, node, ffmpeg: run scripts/test.sh"]
fn mpegts_js_plays_flv_over_http() {
    expect_moving_pictures("flv", "http", "cam.flv");
}

#[test]
#[ignore = "needs Chromium, node, ffmpeg: run scripts/test.sh"]
fn mpegts_js_plays_flv_over_websocket() {
    expect_moving_pictures("flv", "ws", "cam.flv");
}

#[test]
#[ignore = "needs Chromium, node, ffmpeg: run scripts/test.sh"]
fn mpegts_js_plays_mpeg_ts_over_http() {
    expect_moving_pictures("ts", "http", "cam.ts");
}

#[test]
#[ignore = "needs Chromium, node, ffmpeg: run scripts/test.sh"]
fn media_source_plays_mp4_over_websocket() {
    expect_moving_pictures("mse", "ws", "cam.mp4");
}

#[test]
#[ignore = "needs Chromium, node, ffmpeg: run scripts/test.sh"]
fn the_page_in_the_readme_plays_mp4_over_websocket() {
    expect_moving_pictures("readme", "ws", "cam.mp4");
}

#[test]
#[ignore = "needs Chromium, node, ffmpeg: run scripts/test.sh"]
fn a_video_element_plays_mp4_over_http() {
    expect_moving_pictures("native", "http", "cam.mp4");
}

#[test]
#[ignore = "needs Chromium, node, ffmpeg: run scripts/test.sh"]
fn hls_js_plays_low_latency_hls() {
    expect_moving_pictures("hls", "http", "cam.m3u8");
}

#[test]
#[ignore = "needs Chromium, node, ffmpeg: run scripts/test.sh"]
fn hls_js_plays_hls_without_low_latency() {
    expect_moving_pictures("hls-classic", "http", "cam.m3u8");
}

#[test]
#[ignore = "needs Chromium, node, ffmpeg: run scripts/test.sh"]
fn hls_js_goes_on_when_a_crashed_publisher_comes_back() {
    expect_moving_pictures_after_a_crash("hls", "http", "cam.m3u8");
}

#[test]
#[ignore = "needs Chromium, node, ffmpeg: run scripts/test.sh"]
fn media_source_goes_on_when_a_crashed_publisher_comes_back() {
    expect_moving_pictures_after_a_crash("mse", "ws", "cam.mp4");
}

#[test]
#[ignore = "needs Chromium, node, ffmpeg: run scripts/test.sh"]
fn mpegts_js_goes_on_when_a_crashed_publisher_comes_back() {
    expect_moving_pictures_after_a_crash("flv", "ws", "cam.flv");
}
