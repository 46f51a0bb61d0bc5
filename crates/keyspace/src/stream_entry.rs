//! The guard of a stream's entry.
//!
//! A stream is never packed: even an empty one lies in a box of its own. It may stay empty, as
//! its last id and its groups are worth keeping.

use value::stream::Stream;
use value::{Big, Type};

use crate::changes::{Effect, Event};
use crate::collection::{CollectionEntry, NewCollection};
use crate::database::Stored;
use crate::entry::Expiry;
use crate::view::View;
use crate::{Layout, Millis, Refused};

/// A key that holds a stream or nothing, with the right to change it.
pub struct StreamEntry<'v>(CollectionEntry<'v>);

impl View<'_> {
    /// Reads a stream. Counts as a use of the key.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn stream(&self, key: &[u8]) -> Result<Option<&Stream>, Refused> {
        Ok(self.collection(key, Type::Stream)?.and_then(stream_of))
    }

    /// The guard of a key that holds a stream or nothing, as [`View::str_entry`] is of strings.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn stream_entry<'v>(&'v mut self, key: &'v [u8]) -> Result<StreamEntry<'v>, Refused> {
        self.collection_entry(key, Type::Stream).map(StreamEntry)
    }

    /// The same for a command that also returns what it found, see
    /// [`View::collection_entry_read`].
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn stream_entry_read<'v>(&'v mut self, key: &'v [u8]) -> Result<StreamEntry<'v>, Refused> {
        self.collection_entry_read(key, Type::Stream).map(StreamEntry)
    }

    /// Puts a stream where the key is, over whatever is there.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn put_stream(
        &mut self,
        key: &[u8],
        stream: Stream,
        expiry: Expiry,
        event: Event,
    ) -> Result<(), Refused> {
        let mut entry = self.collection_over(key, Type::Stream);
        entry.replace(NewCollection::Big(Box::new(Big::Stream(stream))), expiry, event)
    }
}

/// A stream as it lies; `None` if it is something else.
#[must_use]
pub fn stream_of(stored: Stored<'_>) -> Option<&Stream> {
    match stored {
        Stored::Big(Big::Stream(stream)) => Some(stream),
        _ => None,
    }
}

impl StreamEntry<'_> {
    /// The stream, if there is one.
    #[must_use]
    #[inline]
    pub fn get(&self) -> Option<&Stream> {
        self.0.stored().and_then(stream_of)
    }

    /// The stream, to be changed, if there is one. Whoever changes it says so
    /// ([`StreamEntry::noted`]).
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut Stream> {
        match self.0.big_mut()? {
            (Big::Stream(stream), _) => Some(stream),
            _ => None,
        }
    }

    /// Puts a stream where none is.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn create(&mut self, stream: Stream) -> Result<(), Refused> {
        let big = Box::new(Big::Stream(stream));
        self.0.put(NewCollection::Big(big), Expiry::Clear)
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.0.now()
    }

    /// Where values change their layout.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        self.0.layout()
    }

    /// Notes that the stream was changed.
    #[inline]
    pub fn noted(&mut self, event: Event) {
        self.0.noted(event, false);
    }

    /// Notes that the stream was changed, in a way of which no subscriber is told.
    pub fn noted_silently(&mut self) {
        self.0.writing.note(self.0.key, crate::event::REWRITE, Effect::Set);
    }

    /// Notes one more event for subscribers.
    pub fn also(&mut self, event: Event) {
        self.0.also(event);
    }
}
