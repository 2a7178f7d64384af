//! Elementary streams in files.

use bytes::BytesMut;
use rtmpd::container::es::{Adts, AnnexB};

use super::clips::{HEVC, assert_nobody_complains, frames_of, make_flv, pictures_of, sound_of};
use super::media::{AAC, H264, PICTURE, Scratch, TONE, new_ffmpeg};

fn pictures_are_as_they_were(codec: &[&str], name: &str) {
    let scratch = Scratch::new();
    let clip = make_flv(&scratch, "4", &[PICTURE, TONE, codec, AAC]);
    let (mut writer, mut out) = (AnnexB::new(), BytesMut::new());
    frames_of(&clip).iter().for_each(|frame| writer.push(frame, &mut out));
    let ours = scratch.file(name);
    std::fs::write(&ours, &out).unwrap();
    assert_nobody_complains(&ours, "warning");
    // There is no time in such a file.
    let contents = |path| pictures_of(new_ffmpeg(), path).into_iter().map(|picture| picture.content);
    assert!(contents(&ours).eq(contents(&clip)));
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn h264_in_a_file() {
    pictures_are_as_they_were(H264, "ours.h264");
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn hevc_in_a_file() {
    pictures_are_as_they_were(HEVC, "ours.h265");
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn aac_in_a_file() {
    let scratch = Scratch::new();
    let clip = make_flv(&scratch, "4", &[PICTURE, TONE, H264, AAC]);
    let (mut writer, mut out) = (Adts::new(), BytesMut::new());
    frames_of(&clip).iter().for_each(|frame| writer.push(frame, &mut out));
    let ours = scratch.file("ours.aac");
    std::fs::write(&ours, &out).unwrap();
    // The length of such a file can only be guessed, which ffmpeg warns of.
    assert_nobody_complains(&ours, "error");
    assert_eq!(sound_of(new_ffmpeg(), &ours), sound_of(new_ffmpeg(), &clip));
}
