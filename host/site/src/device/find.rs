//! Multicast DNS → the devices in this network.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lintel_link::SERVICE;
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use mdns_sd::{ServiceDaemon, ServiceEvent};
use serde::Serialize;

/// A device that announces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The name that it announces.
    pub name: String,
    /// IP address and port that the device announces.
    pub address: String,
    /// The fingerprint that it claims; pairing checks it.
    pub fingerprint: String,
}

/// Listens for this long.
///
/// # Errors
/// [`Failure::Work`] where the network has no multicast.
#[allow(clippy::disallowed_methods, reason = "a network is listened to in real time")]
pub fn find(patience: Duration) -> Result<Vec<Found>, Failure> {
    let daemon = ServiceDaemon::new().map_err(Failure::work)?;
    let events = daemon.browse(SERVICE).map_err(Failure::work)?;
    let since = Instant::now();
    let mut found = BTreeMap::new();
    while since.elapsed() < patience && !interrupt::requested() {
        let Ok(event) = events.recv_timeout(Duration::from_millis(100)) else { continue };
        if let ServiceEvent::ServiceResolved(service) = event {
            let word = |key: &str| service.get_property_val_str(key).unwrap_or_default().to_owned();
            let addresses = service.get_addresses().iter().map(ToString::to_string);
            // Addresses that others can reach come first, and IPv4 before IPv6, which is longer to type.
            let local = |address: &str| address.starts_with("127.") || address == "::1";
            let address = addresses.min_by_key(|address| (local(address), address.contains(':'), address.clone()));
            let Some(address) = address else { continue };
            let address = if address.contains(':') { format!("[{address}]") } else { address };
            let fingerprint = word("fingerprint");
            let device = Found {
                name: word("name"),
                address: format!("{address}:{}", service.get_port()),
                fingerprint: fingerprint.clone(),
            };
            found.insert(fingerprint, device);
        }
    }
    // Nothing waits for the daemon's goodbye.
    let _ = daemon.shutdown();
    Ok(found.into_values().collect())
}
