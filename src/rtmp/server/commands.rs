//! Commands (7.2) other than `connect`: what each one does and how it is answered.
//!
//! Calls with transaction id 0 want no answer. What is not known is answered with an empty `_result`: clients only
//! want to go on.

use super::streams::Role;
use super::{Event, PublishKind, ServerSession, SessionError, Trust, code};
use crate::rtmp::amf0::{Value, ValueRef};
use crate::rtmp::command::Command;
use crate::rtmp::message::Message;
use crate::rtmp::path::{PathError, StreamPath};

/// Commands that [`SessionError::OutOfOrder`] can name.
const NAMES: [&str; 20] = [
    "connect",
    "createStream",
    "releaseStream",
    "FCPublish",
    "FCUnpublish",
    "FCSubscribe",
    "publish",
    "play",
    "play2",
    "pause",
    "pauseRaw",
    "seek",
    "receiveAudio",
    "receiveVideo",
    "deleteStream",
    "closeStream",
    "getStreamLength",
    "set_playlist",
    "_checkbw",
    "FCUnsubscribe",
];

const UNPUBLISHED: &str = "NetStream.Unpublish.Success";

impl ServerSession {
    /// A message that is no command, or whose name cannot be read, is ignored.
    pub(super) fn handle_command(&mut self, message: &Message) -> Result<(), SessionError> {
        let Ok(command) = Command::decode(message.type_id, &message.payload) else {
            return Ok(());
        };
        let command = &command;
        let stream_id = message.stream_id;
        let name = command.name.as_str();
        match name {
            // Answers of the peer. Nothing was asked that needs one, and an answer must never be answered.
            "_result" | "_error" | "onStatus" => return Ok(()),
            "connect" => return self.connect(command),
            _ if self.names.is_none() => return Err(self.out_of_order(command)),
            _ => {}
        }
        match name {
            "createStream" => self.create_stream(command)?,
            "publish" => self.publish(stream_id, command)?,
            "play" => {
                let reset = command.argument(3).is_none_or(is_true);
                self.play(stream_id, command.argument(0), reset)?;
            }
            "play2" => {
                let name = command.argument(0).and_then(|options| options.member("streamName"));
                self.play(stream_id, name, true)?;
            }
            "FCPublish" => self.fc_call(command, "onFCPublish", "NetStream.Publish.Start"),
            "FCSubscribe" => self.fc_call(command, "onFCSubscribe", "NetStream.Play.Start"),
            "FCUnpublish" => self.fc_unpublish(command),
            "closeStream" => self.close_stream(stream_id),
            "deleteStream" => self.delete_stream(stream_id, command),
            "pause" | "pauseRaw" => self.pause(stream_id, command),
            "seek" => {
                let code = "NetStream.Seek.Notify";
                self.answers.on_status(stream_id, "status", code, "A live stream stays live.");
            }
            "receiveAudio" | "receiveVideo" => self.receive(stream_id, command),
            // A length would make players show one; a live stream has none.
            "getStreamLength" if command.transaction_id > 0.0 => {
                self.answers.result(command.transaction_id, Value::Null, Value::Number(0.0));
            }
            _ => self.answers.empty_result(command.transaction_id),
        }
        Ok(())
    }

    /// The error for a command that came at the wrong time, of which the client is told.
    pub(super) fn out_of_order(&mut self, command: &Command) -> SessionError {
        let description = "The command came out of order.";
        self.answers.error(command.transaction_id, "NetConnection.Call.Failed", description);
        let known = NAMES.into_iter().find(|name| *name == command.name);
        SessionError::OutOfOrder(known.unwrap_or("of unknown name"))
    }

    fn create_stream(&mut self, command: &Command) -> Result<(), SessionError> {
        let id = command.transaction_id;
        match self.streams.create() {
            Ok(stream_id) => {
                self.answers.result(id, Value::Null, Value::Number(f64::from(stream_id)));
                Ok(())
            }
            Err(error) => {
                self.answers.error(id, "NetConnection.Call.Failed", &error.to_string());
                Err(error)
            }
        }
    }

    fn publish(&mut self, stream_id: u32, command: &Command) -> Result<(), SessionError> {
        let name = command.argument(0);
        if is_false(name) {
            self.close_stream(stream_id);
            return Ok(());
        }
        let name = name.and_then(ValueRef::as_str).unwrap_or("");
        let kind = PublishKind::parse(command.argument(1).and_then(ValueRef::as_str));
        let path = self.resolve(stream_id, name, code::PUBLISH_BAD_NAME)?;
        // The same client cannot be in its own way: the newest publish of a name counts.
        if let Some(older) = self.streams.publishes(name) {
            self.end(older);
        }
        self.open(stream_id, Role::PublishAsked, Some(name), code::PUBLISH_DENIED)?;
        self.raise_trust(Trust::Asked);
        self.events.push_back(Event::Publish { stream_id, path, kind });
        Ok(())
    }

    fn play(&mut self, stream_id: u32, name: Option<ValueRef<'_>>, reset: bool) -> Result<(), SessionError> {
        if is_false(name) {
            self.close_stream(stream_id);
            return Ok(());
        }
        let name = name.and_then(ValueRef::as_str).unwrap_or("");
        let path = self.resolve(stream_id, name, code::PLAY_STREAM_NOT_FOUND)?;
        self.open(stream_id, Role::PlayAsked { reset }, None, code::PLAY_FAILED)?;
        self.events.push_back(Event::Play { stream_id, path });
        Ok(())
    }

    /// The canonical name. Where there is none the client is told `code`.
    fn resolve(&mut self, stream_id: u32, name: &str, code: &str) -> Result<StreamPath, SessionError> {
        let path = self.names.as_ref().map_or(Err(PathError::Empty), |names| names.resolve(name));
        path.map_err(|error| {
            self.answers.on_status(stream_id, "error", code, &error.to_string());
            SessionError::BadName(error)
        })
    }

    /// Gives a message stream, opened where it was not, a new role; what ran on it ends. Where there are too many the
    /// client is told `code`.
    fn open(&mut self, stream_id: u32, role: Role, name: Option<&str>, code: &str) -> Result<(), SessionError> {
        self.end(stream_id);
        match self.streams.open(stream_id) {
            Ok(stream) => {
                stream.role = role;
                stream.name = name.map(Into::into);
                Ok(())
            }
            Err(error) => {
                self.answers.on_status(stream_id, "error", code, &error.to_string());
                Err(error)
            }
        }
    }

    /// Ends what a message stream does and tells the owner. Gives what it did.
    fn end(&mut self, stream_id: u32) -> Role {
        let Some(stream) = self.streams.get_mut(stream_id) else {
            return Role::Idle;
        };
        let role = std::mem::replace(&mut stream.role, Role::Idle);
        stream.name = None;
        let withdrawn = match role {
            Role::Idle => true,
            Role::PublishAsked | Role::PlayAsked { .. } => self.withdraw(stream_id),
            Role::Publishing | Role::Playing => false,
        };
        if !withdrawn {
            self.events.push_back(Event::Ended { stream_id });
        }
        role
    }

    /// Takes back the question of a `publish` or `play` that the owner has not seen yet; `false` where it has.
    /// An answer to it could otherwise hit what came on this message stream since.
    fn withdraw(&mut self, stream_id: u32) -> bool {
        let index = self.events.iter().rposition(|event| match event {
            Event::Publish { stream_id: id, .. } | Event::Play { stream_id: id, .. } => *id == stream_id,
            _ => false,
        });
        index.and_then(|index| self.events.remove(index)).is_some()
    }

    fn close_stream(&mut self, stream_id: u32) {
        if self.end(stream_id) == Role::Publishing {
            self.answers.on_status(stream_id, "status", UNPUBLISHED, "Publishing has ended.");
        }
    }

    /// Has no answer of its own (7.2.1.3).
    fn delete_stream(&mut self, stream_id: u32, command: &Command) {
        let named = command.argument(0).and_then(ValueRef::as_number);
        // A cast of a float keeps to the range of the integer.
        let stream_id = named.map_or(stream_id, |id| id as u32);
        self.close_stream(stream_id);
        self.streams.remove(stream_id);
    }

    /// A Flash Communication call: its result, and the call back that some clients wait for. That has the transaction
    /// id of the call, which some look at.
    fn fc_call(&mut self, command: &Command, call_back: &str, code: &str) {
        let name = command.argument(0).and_then(ValueRef::as_str).unwrap_or("");
        self.answers.empty_result(command.transaction_id);
        self.answers.call(call_back, command.transaction_id, code, name);
    }

    fn fc_unpublish(&mut self, command: &Command) {
        self.fc_call(command, "onFCUnpublish", UNPUBLISHED);
        let name = command.argument(0).and_then(ValueRef::as_str);
        if let Some(stream_id) = self.streams.publisher_of_name(name) {
            self.close_stream(stream_id);
        }
    }

    fn pause(&mut self, stream_id: u32, command: &Command) {
        let paused = command.argument(0).is_none_or(is_true);
        let (code, description) = if paused {
            ("NetStream.Pause.Notify", "Paused.")
        } else {
            ("NetStream.Unpause.Notify", "Not paused any more.")
        };
        self.answers.on_status(stream_id, "status", code, description);
        if self.streams.role(stream_id) == Role::Playing {
            self.events.push_back(Event::Pause { stream_id, paused });
        }
    }

    fn receive(&mut self, stream_id: u32, command: &Command) {
        self.answers.empty_result(command.transaction_id);
        if self.streams.role(stream_id) != Role::Playing {
            return;
        }
        let wanted = command.argument(0).is_none_or(is_true);
        self.events.push_back(if command.name == "receiveAudio" {
            Event::ReceiveAudio { stream_id, wanted }
        } else {
            Event::ReceiveVideo { stream_id, wanted }
        });
    }
}

/// Flags come as booleans or numbers; anything else does not say no.
fn is_true(value: ValueRef<'_>) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_number().is_none_or(|number| number != 0.0))
}

/// `publish(false)` and `play(false)` mean to stop.
fn is_false(value: Option<ValueRef<'_>>) -> bool {
    value.and_then(ValueRef::as_bool) == Some(false)
}
