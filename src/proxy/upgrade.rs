//! Upgrades (WebSocket): after a 101, bytes flow both ways until one end closes.

use std::sync::Arc;

use http::StatusCode;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::Client;
use crate::backend::Answer;

/// Joins both ends once the backend has agreed. The tunnel keeps the client's place among the connections.
pub(super) fn tunnel(client_side: OnUpgrade, answer: &mut Answer, client: &Arc<Client>) {
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    let backend_side = hyper::upgrade::on(answer);
    let client = Arc::clone(client);
    tokio::spawn(async move {
        if let Err(error) = join(client_side, backend_side).await {
            tracing::debug!(client = %client.address, %error, "tunnel ended");
        }
    });
}

async fn join(client: OnUpgrade, backend: OnUpgrade) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (client, backend) = tokio::try_join!(client, backend)?;
    tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(backend)).await?;
    Ok(())
}
