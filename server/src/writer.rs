//! The only one that changes anything: a single thread that runs commands one after the other, puts what several of
//! them write on disk in one commit, and answers only then.
//!
//! A command sees the books and every earlier command's writes. When it ends in an error, it leaves neither writes nor
//! changed books. When a commit fails, nobody knows what is on disk: every waiting caller is told so, nothing more is
//! taken, and whoever runs the writer stops the process.

mod transaction;

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

use tokio::sync::oneshot;

use crate::{
    ledger::Ledger,
    store::{Batch, Store, StoreError},
};

pub use transaction::Transaction;

/// Commands that wait at most; more are refused as busy.
pub const QUEUE_MAX: usize = 1024;
/// Commands that share one commit at most.
pub const GROUP_MAX: usize = 256;

/// Why a command was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// [`QUEUE_MAX`] commands wait. Nothing was done: send it again in a moment.
    #[error("too many writes wait: send the same request again in a moment")]
    Busy,
    /// The commit failed; whether the command is on disk is not known. The process stops.
    #[error("the store failed: whether this was written is not known; ask again after a restart")]
    Failed,
    /// The writer has stopped. Nothing was done.
    #[error("the service is stopping: send the same request again")]
    Stopped,
}

/// Runs a command and hands over what answers its caller once the outcome of the commit is known.
type Command = Box<dyn FnOnce(&mut Transaction<'_>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<(), WriteError>) + Send>;

enum Job {
    Run(Command),
    Stop,
}

/// Hands commands to the writer's thread. Clones share it.
#[derive(Clone)]
pub struct Writer {
    jobs: SyncSender<Job>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl Writer {
    /// Starts the thread on a store and the books loaded from it. `on_failure` is called once, on that thread, when a
    /// commit fails.
    ///
    /// # Panics
    /// When the operating system gives no thread.
    #[must_use]
    pub fn spawn(
        store: Arc<dyn Store>,
        ledger: Ledger,
        on_failure: impl FnOnce(StoreError) + Send + 'static,
    ) -> (Self, WriterThread) {
        let (jobs, queue) = sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                if let Err(error) = run(&*store, ledger, &queue) {
                    on_failure(error);
                }
            })
            .expect("invariant: the operating system gives a thread at the start");
        let writer = Self { jobs };
        (writer.clone(), WriterThread { writer, thread })
    }

    /// Runs `command` on the writer's thread and answers when what it wrote is on disk.
    ///
    /// # Errors
    /// The command's own error, with nothing written; or a [`WriteError`].
    pub async fn write<R, E, F>(&self, command: F) -> Result<R, E>
    where
        F: FnOnce(&mut Transaction<'_>) -> Result<R, E> + Send + 'static,
        R: Send + 'static,
        E: From<WriteError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Job::Run(Box::new(move |transaction| {
            let result = command(transaction);
            transaction.end(result.is_ok());
            Box::new(move |commit| {
                // Nobody waits any more when the caller hung up: the command is done all the same.
                drop(answer.send(commit.map_err(E::from).and(result)));
            })
        }));
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => WriteError::Busy,
            TrySendError::Disconnected(_) => WriteError::Stopped,
        })?;
        answered
            .await
            .unwrap_or_else(|_| Err(WriteError::Stopped.into()))
    }
}

/// The running thread.
#[derive(Debug)]
pub struct WriterThread {
    writer: Writer,
    thread: JoinHandle<()>,
}

impl WriterThread {
    /// Lets every command that was taken finish, then ends the thread. Later commands are refused.
    pub fn stop(self) {
        // Fails only when the thread has ended by itself.
        drop(self.writer.jobs.send(Job::Stop));
        drop(self.thread.join());
    }
}

/// Takes commands until told to stop.
fn run(store: &dyn Store, mut ledger: Ledger, queue: &Receiver<Job>) -> Result<(), StoreError> {
    while let Ok(first) = queue.recv() {
        let mut batch = Batch::new();
        let mut answers = VecDeque::new();
        let mut next = Some(first);
        let mut stop = false;
        while let Some(job) = next.take() {
            match job {
                Job::Run(command) => {
                    let mut transaction = Transaction::new(store, &mut batch, &mut ledger);
                    answers.push_back(command(&mut transaction));
                }
                Job::Stop => stop = true,
            }
            if !stop && answers.len() < GROUP_MAX {
                next = queue.try_recv().ok();
            }
        }
        let commit = if batch.is_empty() {
            Ok(())
        } else {
            store.commit(&batch)
        };
        ledger.settle();
        let outcome = if commit.is_ok() {
            Ok(())
        } else {
            Err(WriteError::Failed)
        };
        answers.into_iter().for_each(|answer| answer(outcome));
        commit?;
        if stop {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
