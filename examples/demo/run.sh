#!/usr/bin/env bash
# Teaches tiny-sd what a zorb is and draws the same prompts without and with the LoRA: examples/demo/run.sh BUILD_FOLDER
set -euo pipefail
build=$(realpath "${1:?usage: examples/demo/run.sh BUILD_FOLDER}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=$build/demo
mkdir -p "$out"

cmake --build "$build" --target demo_grid
"$build/difftune" train_network \
  --pretrained_model_name_or_path assets/tiny-sd.safetensors \
  --dataset_config examples/demo/demo.toml \
  --output_dir "$out" --output_name zorb --save_model_as safetensors \
  --network_module networks.lora --network_dim 16 --network_alpha 16 \
  --network_args conv_dim=16 conv_alpha=16 \
  --learning_rate 2e-3 --lr_scheduler cosine --optimizer_type AdamW \
  --max_train_steps 800 --cache_latents --seed 1
"$build/examples/demo_grid" assets/tiny-sd.safetensors "$out/zorb.safetensors" examples/demo/prompts.txt "$out/grid.png"
echo "the pictures, without and with the LoRA: $out/grid.png"
