//! Programs that were written for nginx-rtmp, asked about real clients.

use super::backend::{Backend, rename, status};
use super::media::{AAC, H264_NO_B, PICTURE, Scratch, TONE, ffmpeg, make_clip, publish, remux};
use super::packets;
use super::play::play_with_ffmpeg;
use super::server::Server;

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn a_program_for_nginx_rtmp_allows_renames_and_refuses_ffmpeg() {
    let scratch = Scratch::new();
    let clip = make_clip(&scratch, "clip.flv", "2", &[PICTURE, TONE, H264_NO_B, AAC]);
    let sent = packets::of_file(&remux(ffmpeg(), &scratch, &clip, &[]));
    let backend = Backend::start(Box::new(|_, post| {
        let has = |text: &str| post.contains(text);
        match () {
            () if has("call=publish&") && has("name=ticket&") && has("key=hush") => rename("cam"),
            () if has("call=play&") && has("name=cam&") => status(200),
            () if has("call=publish&") || has("call=play&") => status(404),
            () => status(200),
        }
    }));
    let port = backend.address.port();
    let names = ["on_connect", "on_publish", "on_play", "on_unpublish", "on_stop"];
    let urls = names.map(|name| format!("{name} = \"http://localhost:{port}/nginx\"\n")).concat();
    let server = Server::with_config(&scratch, &format!("[callbacks]\nformat = \"form\"\n{urls}"));
    for name in ["ticket", "cam?key=hush"] {
        assert!(!publish(ffmpeg(), &clip, &[], &server.url(name)).finish().status.success(), "{name}");
    }
    assert!(!play_with_ffmpeg(&server.url("ticket")).finish().status.success());
    let mut player = play_with_ffmpeg(&server.url("cam"));
    server.wait_for_players("cam", 1);
    publish(ffmpeg(), &clip, &[], &server.url("ticket?key=hush")).succeed_quietly();
    assert_eq!(packets::from_framemd5(&player.succeed_quietly().stdout).len(), sent.len());
    backend.wait_for("call=publish_done&name=cam", 1);
    backend.wait_for("call=play_done&name=cam", 1);
    let posts = backend.posts();
    assert!(posts.iter().any(|post| post.contains("call=connect") && post.contains("app=live&flashver=FMLE")));
    assert!(posts.iter().all(|post| post.contains("\r\nContent-Type: application/x-www-form-urlencoded\r\n")));
    server.stop();
}
