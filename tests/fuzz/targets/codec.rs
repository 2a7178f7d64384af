//! What stands inside codecs: configuration records and the heads of frames.

use bytes::{Bytes, BytesMut};
use rtmpd::media::codec::nal::{NalUnits, put_annex_b, unescape};
use rtmpd::media::codec::{aac, ac3, av1, avc, flac, hevc, mp3, opus, vp9};

use super::script::Script;

/// First byte: which codec. The rest is a record, and also a coded frame.
pub fn codec_records(data: &[u8]) {
    let mut script = Script::new(data);
    let codec = script.u8() % 10;
    let bytes = Bytes::copy_from_slice(script.rest());
    match codec {
        0 => of_avc(&bytes),
        1 => of_hevc(&bytes),
        2 => of_aac(&bytes),
        3 => of_av1(&bytes),
        4 => {
            if let Ok(record) = vp9::Record::decode(&bytes) {
                assert!(record.bytes.len() <= bytes.len());
            }
            let _ = vp9::dimensions(&bytes);
        }
        5 => of_opus(&bytes),
        6 => {
            if let Ok(info) = flac::StreamInfo::decode(&bytes) {
                assert_eq!(info.bytes.len(), flac::STREAM_INFO_LEN);
                assert!(info.frame_samples(&bytes) <= 0x1_0000);
            }
        }
        7 => {
            if let Ok(packet) = ac3::Packet::decode(&bytes) {
                assert!(packet.samples > 0 && packet.first.sample_rate > 0 && packet.first.channels() > 0);
            }
        }
        8 => {
            if let Ok(head) = mp3::FrameHead::decode(&bytes) {
                assert!(head.sample_rate > 0 && head.samples() > 0 && head.channels > 0);
            }
        }
        _ => nal_units(&bytes),
    }
}

fn sum<'a>(units: impl IntoIterator<Item = &'a Bytes>) -> usize {
    units.into_iter().map(Bytes::len).sum()
}

fn of_avc(bytes: &Bytes) {
    if let Ok(record) = avc::Record::decode(bytes) {
        assert!((1..=4).contains(&record.nal_length_size));
        assert!(sum(record.sps.iter().chain(&record.pps)) <= bytes.len());
        assert!(record.sps.iter().chain(&record.pps).all(|nal| !nal.is_empty()));
        record.sps.iter().for_each(|sps| of_avc_sps(sps));
        walk(record.nal_units(bytes), bytes.len());
    }
    of_avc_sps(bytes);
}

fn of_avc_sps(sps: &[u8]) {
    let decoded = avc::Sps::decode(sps);
    assert_eq!(avc::dimensions(sps).is_some(), decoded.is_some());
    if let Some(sps) = decoded {
        assert!(sps.frame_rate.is_none_or(|rate| rate.is_finite() && rate > 0.0), "{sps:?}");
    }
}

fn of_hevc(bytes: &Bytes) {
    if let Ok(record) = hevc::Record::decode(bytes) {
        assert!((1..=4).contains(&record.nal_length_size));
        assert!(sum(record.vps.iter().chain(&record.sps).chain(&record.pps)) <= bytes.len());
        walk(record.nal_units(bytes), bytes.len());
        for sps in &record.sps {
            let _ = hevc::dimensions(sps);
        }
    }
    let _ = hevc::dimensions(bytes);
}

fn of_aac(bytes: &Bytes) {
    let Ok(config) = aac::Config::decode(bytes) else { return };
    assert!(config.output_sample_rate() > 0 && config.sample_rate > 0, "{config:?}");
    assert!(config.frame_len == 1024 || config.frame_len == 960);
    let mut out = BytesMut::from(&b"before"[..]);
    let unit = [0x21; 100];
    if config.put_adts(&unit, &mut out) {
        assert!(config.fits_adts());
        assert_eq!(out.len(), 6 + config.adts_len(unit.len()));
        assert!(out.starts_with(b"before\xFF\xF1") && out.ends_with(&unit));
    } else {
        assert_eq!(out, b"before"[..]);
    }
    assert!(!config.put_adts(&[0; aac::MAX_ADTS_LEN], &mut out));
}

fn of_av1(bytes: &Bytes) {
    if let Ok(record) = av1::Record::decode(bytes) {
        assert!(record.config_obus.len() <= bytes.len());
        let _ = av1::dimensions(&record.config_obus);
    }
    let unit = av1::without_delimiter(bytes);
    assert!(bytes.ends_with(&unit));
    assert_eq!(av1::without_delimiter(&unit), unit);
    let _ = av1::dimensions(bytes);
}

fn of_opus(bytes: &Bytes) {
    if let Ok(head) = opus::Head::decode(bytes) {
        assert!(head.channels > 0 && head.mapping.len() <= bytes.len());
    }
    // 120 ms is the longest packet.
    assert!(opus::packet_samples(bytes) <= opus::SAMPLE_RATE * 12 / 100);
}

fn nal_units(bytes: &Bytes) {
    for size in 0..=5 {
        walk(NalUnits::new(bytes, size), bytes.len());
    }
    let raw = unescape(bytes);
    assert!(raw.len() <= bytes.len());
    let mut out = BytesMut::new();
    put_annex_b(&mut out, bytes);
    assert!(out.ends_with(bytes) && out.len() <= bytes.len() + 4);
}

fn walk(units: NalUnits<'_>, len: usize) {
    let units: Vec<&[u8]> = units.collect();
    assert!(units.iter().all(|unit| !unit.is_empty()));
    assert!(units.iter().map(|unit| unit.len() + 1).sum::<usize>() <= len, "units longer than what holds them");
}
