//! Sizes → the names and shapes of a whole CLIP's tensors, as OpenAI names them.

use lintel::export::VisualConfig;
use lintel::text_encoder::TextConfig;

use crate::formula::Described;

/// CLIP RN50's image encoder (Radford et al. 2021, table 19).
pub const RN50_VISUAL: VisualConfig = VisualConfig { width: 64, layers: [3, 4, 6, 3], resolution: 224, dim: 1024 };
/// CLIP RN50's text encoder (ibid., table 19).
pub const RN50_TEXT: TextConfig = TextConfig { vocabulary: 49_408, context: 77, width: 512, layers: 12, dim: 1024 };

/// Both towers and the logit scale.
#[must_use]
pub fn clip(visual: &VisualConfig, text: &TextConfig) -> Vec<Described> {
    let mut shapes = Shapes(Vec::new());
    shapes.visual(visual);
    shapes.text(text);
    shapes.0
}

struct Shapes(Vec<Described>);

impl Shapes {
    fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.0.push(Described { name: name.into(), shape: shape.to_vec() });
    }

    fn conv(&mut self, conv: &str, norm: &str, [outputs, inputs, kernel]: [usize; 3]) {
        self.add(format!("{conv}.weight"), &[outputs, inputs, kernel, kernel]);
        for part in ["weight", "bias", "running_mean", "running_var"] {
            self.add(format!("{norm}.{part}"), &[outputs]);
        }
    }

    fn visual(&mut self, &VisualConfig { width, layers, resolution, dim }: &VisualConfig) {
        self.conv("visual.conv1", "visual.bn1", [width / 2, 3, 3]);
        self.conv("visual.conv2", "visual.bn2", [width / 2, width / 2, 3]);
        self.conv("visual.conv3", "visual.bn3", [width, width / 2, 3]);
        let mut channels = width;
        for (stage, blocks) in layers.into_iter().enumerate() {
            let planes = width << stage;
            for block in 0..blocks {
                let p = format!("visual.layer{}.{block}", stage + 1);
                self.conv(&format!("{p}.conv1"), &format!("{p}.bn1"), [planes, channels, 1]);
                self.conv(&format!("{p}.conv2"), &format!("{p}.bn2"), [planes, planes, 3]);
                self.conv(&format!("{p}.conv3"), &format!("{p}.bn3"), [4 * planes, planes, 1]);
                if block == 0 {
                    let shortcut = [4 * planes, channels, 1];
                    self.conv(&format!("{p}.downsample.0"), &format!("{p}.downsample.1"), shortcut);
                }
                channels = 4 * planes;
            }
        }
        let side = resolution / 32;
        self.add("visual.attnpool.positional_embedding", &[side * side + 1, channels]);
        for (part, outputs) in [("q_proj", channels), ("k_proj", channels), ("v_proj", channels), ("c_proj", dim)] {
            self.add(format!("visual.attnpool.{part}.weight"), &[outputs, channels]);
            self.add(format!("visual.attnpool.{part}.bias"), &[outputs]);
        }
    }

    fn text(&mut self, &TextConfig { vocabulary, context, width, layers, dim }: &TextConfig) {
        for layer in 0..layers {
            let p = format!("transformer.resblocks.{layer}");
            self.add(format!("{p}.attn.in_proj_weight"), &[3 * width, width]);
            self.add(format!("{p}.attn.in_proj_bias"), &[3 * width]);
            for (part, outputs, inputs) in
                [("attn.out_proj", width, width), ("mlp.c_fc", 4 * width, width), ("mlp.c_proj", width, 4 * width)]
            {
                self.add(format!("{p}.{part}.weight"), &[outputs, inputs]);
                self.add(format!("{p}.{part}.bias"), &[outputs]);
            }
            for norm in ["ln_1", "ln_2"] {
                self.add(format!("{p}.{norm}.weight"), &[width]);
                self.add(format!("{p}.{norm}.bias"), &[width]);
            }
        }
        self.add("token_embedding.weight", &[vocabulary, width]);
        self.add("positional_embedding", &[context, width]);
        self.add("ln_final.weight", &[width]);
        self.add("ln_final.bias", &[width]);
        self.add("text_projection", &[width, dim]);
        self.add("logit_scale", &[]);
    }
}
