//! The message streams of one connection.
//!
//! Owns: which ids are open and what each one does. Does not know commands or answers.

use super::SessionError;

/// What a message stream does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing yet, or nothing any more.
    Idle,
    /// `publish` came, the owner has not answered.
    PublishAsked,
    /// An accepted publisher.
    Publishing,
    /// `play` came, the owner has not answered.
    PlayAsked {
        /// Whether the client wants `NetStream.Play.Reset`.
        reset: bool,
    },
    /// An accepted player.
    Playing,
}

/// One message stream.
#[derive(Debug)]
pub(super) struct MessageStream {
    pub(super) id: u32,
    pub(super) role: Role,
    /// Name that `publish` used, as sent: `FCUnpublish` repeats it. Only of publishers, asked or accepted.
    pub(super) name: Option<Box<str>>,
}

/// All message streams of a connection, in the order they were opened.
#[derive(Debug)]
pub(super) struct MessageStreams {
    list: Vec<MessageStream>,
    limit: usize,
}

impl MessageStreams {
    pub(super) const fn new(limit: usize) -> Self {
        MessageStreams { list: Vec::new(), limit }
    }

    /// Message streams for which there is memory.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.list.capacity()
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut MessageStream> {
        self.list.iter_mut().find(|stream| stream.id == id)
    }

    pub(super) fn role(&self, id: u32) -> Role {
        self.list.iter().find(|stream| stream.id == id).map_or(Role::Idle, |stream| stream.role)
    }

    /// Opens the lowest id from 1 on that is free.
    pub(super) fn create(&mut self) -> Result<u32, SessionError> {
        // One more candidate than open streams: one of them is free.
        let mut id = 1;
        while self.list.iter().any(|stream| stream.id == id) {
            id += 1;
        }
        self.open(id).map(|stream| stream.id)
    }

    /// The stream `id`, opened where it was not: some encoders publish on an id that nobody gave them.
    pub(super) fn open(&mut self, id: u32) -> Result<&mut MessageStream, SessionError> {
        let index = match self.list.iter().position(|stream| stream.id == id) {
            Some(index) => index,
            None if self.list.len() >= self.limit => {
                return Err(SessionError::TooManyStreams(self.limit));
            }
            None => {
                self.list.reserve_exact(1);
                // Nearly always there is one: no room for four.
                self.list.reserve_exact(1);
                self.list.push(MessageStream { id, role: Role::Idle, name: None });
                self.list.len() - 1
            }
        };
        self.list.get_mut(index).ok_or(SessionError::TooManyStreams(self.limit))
    }

    pub(super) fn remove(&mut self, id: u32) {
        self.list.retain(|stream| stream.id != id);
    }

    /// All streams, which are closed by this.
    pub(super) fn take(&mut self) -> Vec<MessageStream> {
        std::mem::take(&mut self.list)
    }

    /// Whether a publisher or player was accepted and has not ended.
    pub(super) fn any_running(&self) -> bool {
        self.list.iter().any(|stream| matches!(stream.role, Role::Publishing | Role::Playing))
    }

    pub(super) fn any_publishing(&self) -> bool {
        self.list.iter().any(|stream| stream.role == Role::Publishing)
    }

    /// The publisher, accepted or asked, to which media on message stream `id` belongs. Peers whose first chunk has a
    /// short header leave the id out, which reads as 0: such media belongs to the only publisher there is.
    pub(super) fn publisher_of_media(&self, id: u32) -> Option<u32> {
        let publishes = |stream: &MessageStream| matches!(stream.role, Role::PublishAsked | Role::Publishing);
        let found = self.list.iter().find(|stream| stream.id == id);
        match found {
            Some(stream) => publishes(stream).then_some(id),
            None if id == 0 => self.only(publishes),
            None => None,
        }
    }

    /// The stream on which `name` is published or is to be.
    pub(super) fn publishes(&self, name: &str) -> Option<u32> {
        let is_it = |stream: &&MessageStream| stream.name.as_deref() == Some(name);
        self.list.iter().find(is_it).map(|stream| stream.id)
    }

    /// The stream that `FCUnpublish` of `name` means: the publisher of that name, else the only publisher.
    pub(super) fn publisher_of_name(&self, name: Option<&str>) -> Option<u32> {
        name.and_then(|name| self.publishes(name)).or_else(|| self.only(|stream| stream.name.is_some()))
    }

    /// The id of the one stream that `wanted` holds for; `None` where there are none or several.
    fn only(&self, wanted: impl Fn(&MessageStream) -> bool) -> Option<u32> {
        let mut ids = self.list.iter().filter(|stream| wanted(stream)).map(|stream| stream.id);
        let first = ids.next();
        if ids.next().is_some() { None } else { first }
    }
}
