//! CLIP's weights, tokenizer and text encoder, and the sizes of its image encoder.

pub mod text_encoder;
pub mod tokenizer;
pub mod visual;
pub mod weights;
