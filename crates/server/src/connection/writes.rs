//! What goes out to the client, and how much of it may wait.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::Output;

use super::Connection;
use crate::client::Kill;
use crate::settings::Settings;

/// Output that may wait for a client that has not authenticated.
const OUTPUT_BEFORE_AUTH_BYTES: usize = 1 << 20;

/// Output that is written before others have their turn.
const TURN_BYTES_MAX: usize = 256 << 10;

impl Connection {
    /// Messages from others go out between replies.
    pub(super) fn deliver(&mut self) -> io::Result<()> {
        if self.session.client.killed() == Kill::Now {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if self.session.client.outbox_bytes() > 0 {
            if self.output.is_empty() {
                self.output = self.worker.scratch.borrow_mut().spare();
            }
            self.session.client.take_messages(&mut self.output, self.session.dialect);
            self.write_waiting()?;
            self.keep_to_limits()?;
        }
        Ok(())
    }

    /// Fails if more output waits than may.
    pub(super) fn keep_to_limits(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            self.soft_since = None;
            self.session.client.output_bytes.store(0, Ordering::Relaxed);
            return Ok(());
        }
        let settings = self.worker.settings();
        let now = self.worker.server.clock.now();
        if self.over_limit(&settings, self.output.len(), now) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// Writes the replies that were held until the others had their turn.
    pub(super) fn write_held(&mut self) -> io::Result<()> {
        self.holds_replies = false;
        self.worker.turns.release();
        self.write_output()?;
        self.keep_to_limits()
    }

    /// Writes what waits; its memory is the next one's then.
    pub(super) fn write_output(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let mut output = std::mem::take(&mut self.output);
        let written = self.write(&mut output);
        if output.is_empty() {
            self.worker.scratch.borrow_mut().take_back(output);
        } else {
            self.output = output;
        }
        written
    }

    pub(super) fn write_waiting(&mut self) -> io::Result<()> {
        let written = self.write_output();
        let waiting = self.output.len() as u64;
        let client = &self.session.client;
        if client.output_bytes.swap(waiting, Ordering::Relaxed) > waiting {
            // A client that reads is not idle.
            client.last_seen.store(self.worker.server.clock.now(), Ordering::Relaxed);
        }
        written
    }

    /// Writes as much as the socket takes and one turn allows.
    pub(super) fn write(&self, output: &mut Output) -> io::Result<()> {
        let mut left = TURN_BYTES_MAX;
        while !output.is_empty() && left > 0 {
            let pieces = first_bytes(output.chunks(), left);
            let Some(written) = self.socket.try_write(pieces)? else { break };
            output.advance(written);
            left = left.saturating_sub(written);
            let stats = self.worker.stats();
            stats.writes.add(1);
            stats.bytes_out.add(written as u64);
            self.session.client.bytes_out.add(written as u64);
        }
        Ok(())
    }

    /// Writes what is left before the connection ends, as long as the client reads.
    pub(super) async fn drain(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        while !self.output.is_empty() && self.session.client.killed() != Kill::Now {
            let writable = poll_fn(|context| self.socket.poll_writable(context));
            let ready = tokio::select! {
                ready = tokio::time::timeout(PATIENCE, writable) => matches!(ready, Ok(Ok(()))),
                () = self.session.client.rung() => continue,
            };
            if !ready || self.write_waiting().is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }

    /// With so many bytes of output the connection ends at once.
    #[inline]
    pub(super) fn reply_bytes_max(&self, settings: &Settings) -> usize {
        settings.reply_bytes_max(self.session.subscriptions.is_some())
    }

    /// Whether replies are more than may wait even for a moment; the connection ends without them.
    #[inline]
    pub(super) fn outgrows(&self, settings: &Settings, replies: usize) -> bool {
        let outgrows = replies >= self.reply_bytes_max(settings);
        if outgrows {
            self.session.client.kill_for_output();
        }
        outgrows
    }

    /// Drops replies that are more than may wait even for a moment.
    pub(super) fn drop_outgrown(&mut self) {
        if self.outgrows(&self.worker.settings(), self.output.len()) {
            self.output = Output::new();
        }
    }

    /// Whether more output waits for this client than it may.
    pub(super) fn over_limit(&mut self, settings: &Settings, waiting: usize, now: u64) -> bool {
        self.session.client.output_bytes.store(waiting as u64, Ordering::Relaxed);
        let limit = settings.output_limit(self.session.subscriptions.is_some());
        let unknown = !self.session.authenticated && waiting > OUTPUT_BEFORE_AUTH_BYTES;
        let over = unknown || limit.is_passed(waiting as u64, &mut self.soft_since, now);
        if over {
            self.worker.stats().output_overflows.add(1);
        }
        over
    }
}

/// The pieces as far as they are within the first `left` bytes.
#[inline]
fn first_bytes<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    mut left: usize,
) -> impl Iterator<Item = &'a [u8]> {
    pieces.map_while(move |piece| {
        let piece = &piece[..piece.len().min(left)];
        left -= piece.len();
        (!piece.is_empty()).then_some(piece)
    })
}
