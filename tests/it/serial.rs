//! The dashboard as it is: one thread, HTTP/1.0, a backlog of 5, stopped by one idle connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpSocket;

/// The same as Python's `http.server` on `TCPServer`, as far as a proxy can tell.
#[derive(Debug)]
pub(crate) struct SerialServer {
    pub(crate) address: SocketAddr,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    stop: AtomicBool,
    answered: AtomicUsize,
    idle: AtomicUsize,
}

impl SerialServer {
    /// Answers every request with `body`, after `work` during which it does nothing else.
    pub(crate) fn start(body: &str, work: Duration) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(5).unwrap().into_std().unwrap();
        listener.set_nonblocking(false).unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let answer = format!(
            "HTTP/1.0 200 OK\r\nServer: BaseHTTP/0.6\r\nContent-Type: application/json\r\n\r\n{body}"
        );
        let seen = Arc::clone(&counts);
        let thread = std::thread::spawn(move || serve(&listener, &answer, work, &seen));
        Self { address, counts, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn answered(&self) -> usize {
        self.counts.answered.load(Ordering::SeqCst)
    }

    /// Connections that were closed without a request: each stopped the server while it was open.
    pub(crate) fn idle(&self) -> usize {
        self.counts.idle.load(Ordering::SeqCst)
    }
}

impl Drop for SerialServer {
    fn drop(&mut self) {
        self.counts.stop.store(true, Ordering::SeqCst);
        // Wakes it where it waits for a connection; where it waits for a request, all clients are gone by now.
        let _woken = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            thread.join().unwrap();
        }
    }
}

fn serve(listener: &TcpListener, answer: &str, work: Duration, counts: &Counts) {
    for stream in listener.incoming() {
        if counts.stop.load(Ordering::SeqCst) {
            return;
        }
        let mut stream = stream.unwrap();
        if !read_head(&mut stream) {
            counts.idle.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        std::thread::sleep(work);
        // A client that left is not this server's failure.
        if stream.write_all(answer.as_bytes()).is_ok() {
            counts.answered.fetch_add(1, Ordering::SeqCst);
        }
        let _left = stream.shutdown(std::net::Shutdown::Write);
    }
}

/// Waits for a request for as long as it takes, as the real one does.
fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    let mut block = [0; 4096];
    loop {
        match stream.read(&mut block) {
            Ok(0) | Err(_) => return false,
            Ok(read) => head.extend(&block[..read]),
        }
        if head.ends_with(b"\r\n\r\n") {
            return true;
        }
    }
}
