//! An address and the code on a device's display → a device and a workstation that know each other.

use lintel_link::Fingerprint;
use lintel_link::pairing::{Code, Half, Pair};
use lintel_wire::link::{Answer, Request, shortened};
use lintel_work::failure::Failure;

use super::client::{Client, DeviceError};
use crate::devices::KnownDevice;
use crate::{Site, now};

/// The most roots that a device accepts while it is paired.
const MOST_ROOTS: usize = 32;

/// Pairs with the device at an address. `ask_code` is called once the device has answered.
///
/// # Errors
/// [`Failure`]; nothing is stored then.
pub fn pair(
    site: &Site,
    address: &str,
    name: &str,
    workstation: &str,
    ask_code: impl FnOnce(Fingerprint) -> Result<Code, Failure>,
) -> Result<KnownDevice, Failure> {
    let mut roots = site.roots()?;
    let (_, root) = roots.pop().ok_or_else(|| Failure::input("the site has no root yet: `lintel keys new`"))?;
    let mut client = Client::connect(address, &site.identity, None)?;
    let certificate = client.certificate();
    let device = Fingerprint::of(&certificate);
    let code = ask_code(device)?;
    let (half, message) = Half::workstation(&code, Pair { workstation: site.identity.fingerprint(), device });
    let Answer::Pair { message, confirmation } = client.ask(&Request::Pair { message })? else {
        return Err(DeviceError::OtherAnswer.into());
    };
    let agreed = half.finish(&message).map_err(Failure::work)?;
    // Before anything is sent that only the right device may get.
    agreed.check_device(&confirmation).map_err(|e| Failure::work(format!("{e}; nothing was paired")))?;
    // The device may lack the newest rotations; it gets as many as it accepts.
    for (_, bytes) in roots.split_off(roots.len().saturating_sub(MOST_ROOTS)) {
        let Answer::Kept = client.ask(&Request::Root { bytes })? else { return Err(DeviceError::OtherAnswer.into()) };
    }
    let valid_until = now() + u64::from(site.days.workstation) * 86_400;
    let confirm =
        Request::Confirm { confirmation: agreed.workstation_says(), name: shortened(workstation), valid_until, root };
    let Answer::Paired = client.ask(&confirm)? else { return Err(DeviceError::OtherAnswer.into()) };
    let known = KnownDevice {
        name: name.to_owned(),
        address: super::client::with_port(address),
        certificate: hex::encode(&certificate),
        journal: 0,
        journal_head: String::new(),
        table: String::new(),
    };
    site.remember(&known)?;
    Ok(known)
}
