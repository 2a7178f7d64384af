//! Audio, video, data and aggregate messages of publishers, accepted or asked. Those of others are ignored.

use bytes::Bytes;

use super::data::{self, DataMessage};
use super::{Event, ServerSession};
use crate::rtmp::aggregate;
use crate::rtmp::message::{Message, type_id};

impl ServerSession {
    pub(super) fn handle_media(&mut self, type_id: u8, stream_id: u32, timestamp: u32, payload: Bytes) {
        let Some(stream_id) = self.streams.publisher_of_media(stream_id) else {
            return;
        };
        let event = match type_id {
            type_id::AUDIO => Event::Audio { stream_id, timestamp, payload },
            type_id::VIDEO => Event::Video { stream_id, timestamp, payload },
            type_id::DATA_AMF0 | type_id::DATA_AMF3 => match data::classify(type_id, payload) {
                DataMessage::Forward { payload, is_metadata } => {
                    Event::Data { stream_id, timestamp, payload, is_metadata }
                }
                DataMessage::ClearMetadata => Event::ClearMetadata { stream_id },
                DataMessage::Nothing => return,
            },
            _ => return,
        };
        self.events.push_back(event);
    }

    /// Only media is taken out of an aggregate: no commands, no aggregate inside another.
    pub(super) fn handle_aggregate(&mut self, message: Message) {
        for part in aggregate::parts(message.timestamp, message.payload) {
            self.handle_media(part.type_id, message.stream_id, part.timestamp, part.payload);
        }
    }
}
