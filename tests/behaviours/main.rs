//! Behaviours of the whole server, without sockets, on a clock that the tests set.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "a test says so by panicking; not every test crate uses all of the support"
)]

#[path = "../simulation/rng.rs"]
mod rng;
#[path = "../support/mod.rs"]
mod support;

mod a_server_that_drains_lets_others_go_on;
mod access_is_asked_before_anything_begins;
mod applications_differ;
#[path = "../support/backend.rs"]
mod backend;
mod both_our_sessions_understand_each_other;
mod callbacks_decide_who_begins;
mod callbacks_tell_every_end_once;
mod callbacks_wait_and_are_tried_again;
mod encoders_are_told_what_is_wrong;
mod hls_answers_requests;
mod hls_begins_at_once;
mod hls_players_are_clients;
mod hls_playlists_keep_the_rules;
mod hostile_peers_are_closed_and_others_do_not_notice;
mod last_words_are_readable;
mod live_frames_may_wait_for_others;
mod media_passes_as_it_came;
mod memory_is_one_number;
mod operators_see_and_act;
mod players_join_in_three_ways;
mod publishers_come_and_go;
mod settings_change_and_nobody_is_dropped;
mod slow_disks_hurt_nobody;
mod slow_players_hurt_only_themselves;
mod the_test_stream_gives_way;
mod what_the_simulation_found;
