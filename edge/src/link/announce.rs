//! The device's name and address → multicast DNS, so that `lintel device find` finds it.

use std::net::SocketAddr;

use lintel_link::SERVICE;
use mdns_sd::{ServiceDaemon, ServiceInfo};

use super::Device;

/// Announces the device for as long as it is kept.
pub struct Announcement(ServiceDaemon);

impl Drop for Announcement {
    fn drop(&mut self) {
        // Says goodbye, if there is still somebody to say it to.
        let _ = self.0.shutdown();
    }
}

/// Announces the device; a network without multicast is no reason to stop.
pub(super) fn announce(device: &Device, address: SocketAddr) -> Option<Announcement> {
    let print = device.fingerprint().to_string();
    let announced = || -> mdns_sd::Result<Announcement> {
        let daemon = ServiceDaemon::new()?;
        let properties = [("name", device.name.as_str()), ("fingerprint", &print), ("version", "1")];
        // The host's name must be unique in the network; the fingerprint is.
        let host = format!("lintel-{}.local.", &print[..16]);
        let instance = format!("{} {}", device.name, &print[..8]);
        let ip = if address.ip().is_unspecified() { String::new() } else { address.ip().to_string() };
        let mut service = ServiceInfo::new(SERVICE, &instance, &host, ip, address.port(), &properties[..])?;
        if address.ip().is_unspecified() {
            service = service.enable_addr_auto();
        }
        daemon.register(service)?;
        Ok(Announcement(daemon))
    };
    announced().inspect_err(|e| tracing::warn!("link: not announced by multicast DNS: {e}")).ok()
}
