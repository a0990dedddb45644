//! Waiting for a change that another replica makes.

use std::fmt;
use std::sync::Arc;

use sqlx::Executor as _;
use sqlx::postgres::PgListener;
use tokio::time::timeout;

use super::{CHANNEL, Inner, SharedError, SharedStore};

/// Listens on a connection of its own.
pub struct Listener {
    store: Arc<Inner>,
    /// None once the connection is lost.
    listener: Option<PgListener>,
}

impl SharedStore {
    /// Listens for changes of the record and of judgements from now on. Read both after this, or what was changed before
    /// may go unnoticed.
    ///
    /// # Errors
    /// [`SharedError`] says whether to try again.
    pub async fn listen(&self) -> Result<Listener, SharedError> {
        let connections = &self.inner.connections;
        // sqlx's listener wants a pool, which would hide a refused connection behind a timeout; this one says what is
        // wrong.
        drop(connections.own().await?);
        let listener = connections
            .within(async {
                let mut listener = PgListener::connect_with(&connections.target().pool_of_one()).await?;
                // Whoever listens has to read again after a loss, so it must learn of it.
                listener.eager_reconnect(false);
                listener.listen(CHANNEL).await?;
                Ok(listener)
            })
            .await?;
        Ok(Listener { store: Arc::clone(&self.inner), listener: Some(listener) })
    }
}

// === impl Listener ===

impl Listener {
    /// Ends when something was changed since the last call; several changes may be told as one.
    ///
    /// # Errors
    /// When the connection is lost. Then it stays so: listen anew, and read what may have changed meanwhile.
    pub async fn changed(&mut self) -> Result<(), SharedError> {
        let told = match &mut self.listener {
            Some(listener) => told(listener, &self.store).await,
            None => Err(lost(&self.store)),
        };
        if told.is_err() {
            self.listener = None;
        }
        told
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.store.connections.target().name();
        f.debug_struct("Listener").field("name", &name).field("lost", &self.listener.is_none()).finish()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // sqlx's listener says goodbye in a task, and panics where there is no runtime to run it.
        if tokio::runtime::Handle::try_current().is_err() {
            std::mem::forget(self.listener.take());
        }
    }
}

async fn told(listener: &mut PgListener, store: &Inner) -> Result<(), SharedError> {
    loop {
        match timeout(store.bounds.silence, listener.try_recv()).await {
            Ok(Ok(Some(_))) => break,
            Ok(Ok(None)) => return Err(lost(store)),
            Ok(Err(error)) => return Err(SharedError::of(store.connections.target(), &error)),
            Err(_) => {
                // A connection can end without a word.
                store.connections.within(listener.execute("SELECT 1")).await?;
            }
        }
    }
    while listener.next_buffered().is_some() {}
    Ok(())
}

fn lost(store: &Inner) -> SharedError {
    let ended = std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "the connection ended");
    SharedError::of(store.connections.target(), &sqlx::Error::Io(ended))
}
