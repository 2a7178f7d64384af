# syntax=docker/dockerfile:1
# An image that holds one static binary and nothing else:
#
#     docker build -t rtmpd .
#     docker run --rm --network host --ulimit nofile=1048576:1048576 rtmpd
#
# With a configuration: -v ./rtmpd.toml:/rtmpd.toml:ro rtmpd --config /rtmpd.toml
# Without --network host: -p 1935:1935 -p 8080:8080. All peers may then seem to have one address, so rules and limits by
# address mean little.

FROM rust:1-bookworm AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY src src
# What the program has inside it.
COPY assets assets
COPY contrib contrib
# Cargo.toml names them; they are not built.
COPY benches benches
COPY examples examples
# With a target of its own, the flags do not reach build scripts and procedural macros, which cannot be static.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    target=$(rustc --print host-tuple) && \
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --bin rtmpd --target "$target" && \
    install -D "target/$target/release/rtmpd" /image/rtmpd && \
    install -d -m 0750 -o 65534 -g 65534 /image/data

FROM scratch
COPY --from=build /image /
USER 65534:65534
# What is recorded with a relative name.
WORKDIR /data
VOLUME /data
EXPOSE 1935 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/rtmpd"]
