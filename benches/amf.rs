//! AMF0: reading and writing what each connection and each stream begins with.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput};
use rtmpd::rtmp::amf0::{Value, read_values, write_value};

fn connect() -> Vec<Value> {
    vec![
        Value::string("connect"),
        Value::Number(1.0),
        Value::object([
            ("app", Value::string("live")),
            ("type", Value::string("nonprivate")),
            ("flashVer", Value::string("FMLE/3.0 (compatible; FMSc/1.0)")),
            ("swfUrl", Value::string("rtmp://127.0.0.1:1935/live")),
            ("tcUrl", Value::string("rtmp://127.0.0.1:1935/live")),
            ("audioCodecs", Value::Number(4071.0)),
            ("videoCodecs", Value::Number(252.0)),
            ("videoFunction", Value::Number(1.0)),
        ]),
    ]
}

fn metadata() -> Vec<Value> {
    vec![
        Value::string("@setDataFrame"),
        Value::string("onMetaData"),
        Value::ecma_array([
            ("duration", Value::Number(0.0)),
            ("width", Value::Number(1920.0)),
            ("height", Value::Number(1080.0)),
            ("videocodecid", Value::Number(7.0)),
            ("videodatarate", Value::Number(2500.0)),
            ("framerate", Value::Number(30.0)),
            ("audiocodecid", Value::Number(10.0)),
            ("audiodatarate", Value::Number(128.0)),
            ("audiosamplerate", Value::Number(44_100.0)),
            ("audiosamplesize", Value::Number(16.0)),
            ("stereo", Value::Boolean(true)),
            ("encoder", Value::string("obs-output module (libobs version 30.0.0)")),
        ]),
    ]
}

fn write_all(out: &mut BytesMut, values: &[Value]) {
    for value in values {
        write_value(out, value);
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("amf");
    for (name, values) in [("connect", connect()), ("metadata", metadata())] {
        let mut bytes = BytesMut::new();
        write_all(&mut bytes, &values);
        assert_eq!(read_values(&bytes), values);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("decode/{name}"), |bencher| {
            bencher.iter(|| black_box(read_values(black_box(&bytes))));
        });
        let mut out = BytesMut::with_capacity(bytes.len());
        group.bench_function(format!("encode/{name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                write_all(&mut out, black_box(&values));
                black_box(&out);
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
