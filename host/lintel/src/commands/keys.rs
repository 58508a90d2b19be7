//! `lintel keys`: whose signatures count at the site's doors.

use std::path::PathBuf;

use lintel_site::Site;
use lintel_site::keys::SigningKey;
use lintel_work::failure::Failure;
use serde_json::json;
use tough::schema::{RoleType, Root};

use crate::cli::{KeysAction, KeysArgs, RoleArg};
use crate::commands::speaker::Console;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(args: &KeysArgs, console: &Console) -> Result<(), Failure> {
    let dir = match &args.site.site {
        Some(dir) => dir.clone(),
        None => Site::usual()?,
    };
    match &args.action {
        KeysAction::New { root_keys, threshold } => {
            if *threshold > *root_keys {
                return Err(Failure::input(format!("--threshold {threshold} is more than --root-keys {root_keys}")));
            }
            let site = Site::create(&dir)?;
            let files = site.make_keys(*root_keys, *threshold)?;
            console.say(format!("made {}; only its owner can read it", dir.display()));
            console.say(format!(
                "{threshold} of {root_keys} root keys must sign each new root. Move these files away from this \
                 machine, for example to a stick in a safe, and keep a copy:"
            ));
            for file in &files {
                console.say(format!("  {}", file.display()));
            }
            console.result(&json!({ "site": dir, "root_keys": files, "threshold": threshold }));
            Ok(())
        }
        KeysAction::Identity => {
            let site = Site::renew_identity(&dir)?;
            console.say(format!("this workstation is now {}; pair it with each device", site.identity.fingerprint()));
            console.result(&json!({ "workstation": site.identity.fingerprint().to_string() }));
            Ok(())
        }
        KeysAction::Show => show(&Site::open(&dir)?, console),
        KeysAction::Rotate { role, root_key } => rotate(&Site::open(&dir)?, *role, root_key, console),
    }
}

fn show(site: &Site, console: &Console) -> Result<(), Failure> {
    let root: Root = site.newest_root()?.signed;
    let here: Vec<String> =
        site.key_files()?.iter().map(|path| SigningKey::open(path).map(|key| key.id())).collect::<Result<_, _>>()?;
    console.say(format!("root {}, valid until {}", root.version, root.expires));
    console.say(format!("this workstation: {}", site.identity.fingerprint()));
    let mut roles = Vec::new();
    for role in [RoleType::Root, RoleType::Targets, RoleType::Snapshot, RoleType::Timestamp] {
        let Some(keys) = root.roles.get(&role) else { continue };
        let ids: Vec<String> = keys.keyids.iter().map(|id| hex::encode(id.as_ref())).collect();
        console.say(format!("{role}: {} of {} must sign", keys.threshold, ids.len()));
        for id in &ids {
            let place = if here.contains(id) { "in the site" } else { "elsewhere" };
            console.say(format!("  {id} {place}"));
        }
        roles.push(json!({ "role": role.to_string(), "threshold": keys.threshold, "keys": ids }));
    }
    console.result(&json!({
        "site": site.dir(),
        "root": root.version,
        "expires": root.expires.to_string(),
        "workstation": site.identity.fingerprint().to_string(),
        "roles": roles,
        "here": here,
    }));
    Ok(())
}

fn rotate(site: &Site, role: RoleArg, others: &[PathBuf], console: &Console) -> Result<(), Failure> {
    let kind = match role {
        RoleArg::Root => RoleType::Root,
        RoleArg::Targets => RoleType::Targets,
        RoleArg::Snapshot => RoleType::Snapshot,
        RoleArg::Timestamp => RoleType::Timestamp,
    };
    let version = site.rotate(kind, others)?;
    console.say(format!("root {version}: the {kind} has new keys; devices take it with the next push"));
    if kind == RoleType::Root {
        console.say("the new root keys are in the site: move them away as you did with the old ones");
    }
    console.result(&json!({ "root": version, "role": kind.to_string() }));
    Ok(())
}
