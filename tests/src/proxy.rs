//! A TCP relay that can be cut: the connection between agents and collector.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A relay on the loopback address.
pub struct Proxy {
    /// Its port.
    pub port: u16,
    cut: Arc<AtomicBool>,
    links: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// A relay to a port.
    pub fn to(target: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("address").port();
        let (cut, links) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (is_cut, known) = (Arc::clone(&cut), Arc::clone(&links));
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                let mut links = known.lock().expect("lock");
                links.extend([near.try_clone().expect("clone"), far.try_clone().expect("clone")]);
                relay(near.try_clone().expect("clone"), far.try_clone().expect("clone"));
                relay(far, near);
            }
        });
        Proxy { port, cut, links }
    }

    /// Cuts every connection and refuses new ones.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for link in self.links.lock().expect("lock").drain(..) {
            // It may be closed already.
            let _ = link.shutdown(Shutdown::Both);
        }
    }

    /// Breaks some connections, the oldest first; returns how many.
    pub fn break_some(&self, count: u64) -> u64 {
        let mut links = self.links.lock().expect("lock");
        let count = count.min(links.len() as u64 / 2);
        for link in links.drain(..usize::try_from(count * 2).expect("small")) {
            // It may be closed already.
            let _ = link.shutdown(Shutdown::Both);
        }
        count
    }

    /// Accepts connections again.
    pub fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read) = from.read(&mut buffer) {
            if read == 0 || to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        // The other direction ends too.
        let _ = to.shutdown(Shutdown::Both);
    });
}
