//! A GPU that the program or the machine does not have.

use std::process::Output;

use crate::world::{World, refused};

/// `lintel train --device DEVICE` over an existing trained folder, on a machine without a Vulkan driver.
fn trained_on(world: &World, device: &str) -> Output {
    let mut command = world.command(&["train", "faces", "--out", "trained", "--device", device]);
    for list in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        command.env(list, "nowhere.json");
    }
    command.output().expect("the program starts")
}

#[test]
fn a_gpu_that_is_not_there_is_said_and_nothing_else_is_used() {
    let world = World::new();
    world.copy("faces");
    world.copy("trained");
    let before = world.snapshot("trained");
    let check = |device: &str, built: bool| {
        let words = match built {
            true => "there is no GPU: looked for",
            false => &format!("this program was built without {device}; build it with"),
        };
        refused(&trained_on(&world, device), 2, words);
        assert_eq!(world.snapshot("trained"), before);
        world.no_leftovers();
    };
    check("vulkan", cfg!(feature = "vulkan"));
    // On a machine with NVIDIA's driver nothing is refused.
    if !cfg!(feature = "cuda") || !std::path::Path::new("/dev/nvidiactl").exists() {
        check("cuda", cfg!(feature = "cuda"));
    }
}
