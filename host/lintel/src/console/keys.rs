//! `lintel keys` in words.

use serde_json::{Value, json};
use tough::schema::RoleType;

use super::Told;
use crate::use_cases::keys::{Outcome, RoleKeys, Shown};

impl Told for Outcome {
    fn lines(&self) -> Vec<String> {
        match self {
            Self::Made { site, root_keys, threshold } => {
                let mut lines = vec![
                    format!("made {}; only its owner can read it", site.display()),
                    format!(
                        "{threshold} of {} root keys must sign each new root. Move these files away from this \
                         machine, for example to a stick in a safe, and keep a copy:",
                        root_keys.len()
                    ),
                ];
                lines.extend(root_keys.iter().map(|file| format!("  {}", file.display())));
                lines
            }
            Self::Shown(shown) => shown_lines(shown),
            Self::Renewed(workstation) => {
                vec![format!("this workstation is now {workstation}; pair it with each device")]
            }
            Self::Rotated { root, role } => {
                let mut lines =
                    vec![format!("root {root}: the {role} has new keys; devices take it with the next push")];
                if *role == RoleType::Root {
                    lines.push("the new root keys are in the site: move them away as you did with the old ones".into());
                }
                lines
            }
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Made { site, root_keys, threshold } => {
                json!({ "site": site, "root_keys": root_keys, "threshold": threshold })
            }
            Self::Shown(Shown { site, root, expires, workstation, roles, here }) => {
                let row = |RoleKeys { role, threshold, keys }: &RoleKeys| {
                    let role = role.to_string();
                    json!({ "role": role, "threshold": threshold, "keys": keys })
                };
                json!({
                    "site": site, "root": root, "expires": expires, "workstation": workstation.to_string(),
                    "roles": roles.iter().map(row).collect::<Vec<_>>(), "here": here,
                })
            }
            Self::Renewed(workstation) => json!({ "workstation": workstation.to_string() }),
            Self::Rotated { root, role } => json!({ "root": root, "role": role.to_string() }),
        }
    }
}

fn shown_lines(shown: &Shown) -> Vec<String> {
    let mut lines = vec![
        format!("root {}, valid until {}", shown.root, shown.expires),
        format!("this workstation: {}", shown.workstation),
    ];
    for RoleKeys { role, threshold, keys } in &shown.roles {
        lines.push(format!("{role}: {threshold} of {} must sign", keys.len()));
        lines.extend(keys.iter().map(|id| {
            let place = if shown.here.contains(id) { "in the site" } else { "elsewhere" };
            format!("  {id} {place}")
        }));
    }
    lines
}
