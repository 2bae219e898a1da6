// How blocks use memory changes no bit of a model's output and gradients: computed again, or with weights that are
// fetched for each block (as on a GPU, with copies in place of transfers).
#include "nn/block_memory.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "models/chroma.h"
#include "models/mmdit.h"
#include "models/nextdit.h"
#include "models/unet.h"

namespace difftune {
namespace {

at::Tensor values(std::vector<int64_t> shape) {
  static at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(7);
  return at::randn(shape, generator);
}

struct Results {
  at::Tensor output, text_gradient;
};

// `run`: the model's output for a text.
template <typename Model, typename Run>
Results results_of(const Model& model, at::IntArrayRef text_shape, const Run& run) {
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(9);
  const at::Tensor text = at::randn(text_shape, generator).requires_grad_(true);
  const at::Tensor output = run(model, text);
  (output * output).sum().backward();
  return {output.detach(), text.grad()};
}

template <typename Model, typename Config, typename Run>
void expect_same_bits(const Config& config, at::IntArrayRef text_shape, const Run& run) {
  const auto make = [&] {
    const auto reader = nn::make_initializer(at::make_generator<at::CPUGeneratorImpl>(3), at::kFloat);
    return std::make_unique<Model>(config, *reader);
  };
  const Results plain = results_of(*make(), text_shape, run);
  EXPECT_GT(plain.text_gradient.abs().max().template item<double>(), 0);
  for (const bool recomputes : {false, true}) {
    for (const auto fetch : {nn::BlockSwap::Fetch::copy, nn::BlockSwap::Fetch::read_ahead}) {
      const auto model = make();
      model->memory().recomputes = recomputes;
      auto blocks = model->blocks();
      ASSERT_GE(blocks.size(), 3u);
      blocks.erase(blocks.begin());
      model->memory().swap(blocks, model->index(), c10::kCPU, fetch);
      const auto* waiting = model->index().layers.front()->weight.const_data_ptr();
      for (int pass = 0; pass < 2; ++pass) {
        const Results swapped = results_of(*model, text_shape, run);
        EXPECT_TRUE(at::equal(swapped.output, plain.output));
        EXPECT_TRUE(at::equal(swapped.text_gradient, plain.text_gradient));
      }
      EXPECT_EQ(model->index().layers.front()->weight.const_data_ptr(), waiting);
    }
  }
}

TEST(BlockMemory, OfFluxAndChroma) {
  const FluxConfig flux{.context_size = 24,
                        .vector_size = 16,
                        .hidden_size = 64,
                        .mlp_size = 96,
                        .num_heads = 2,
                        .num_double_blocks = 2,
                        .num_single_blocks = 3};
  const FluxInput input{values({1, 16, 4, 4}), at::tensor({0.3f}), {}, values({1, 16}), at::tensor({2.0f}), {}};
  const auto run = [&](const auto& model, const at::Tensor& text) {
    FluxInput with_text = input;
    with_text.text = text;
    return model.forward(with_text);
  };
  expect_same_bits<Flux>(flux, {1, 5, 24}, run);
  expect_same_bits<Chroma>(ChromaConfig{.blocks = flux, .approximator_size = 32, .approximator_depth = 2}, {1, 5, 24},
                           run);
}

TEST(BlockMemory, OfMMDiT) {
  const MMDiTConfig config{.hidden_size = 32,
                           .mlp_size = 48,
                           .num_heads = 2,
                           .num_blocks = 4,
                           .context_size = 24,
                           .vector_size = 16,
                           .num_positions = 64,
                           .has_self_attention = {true}};
  const at::Tensor latents = values({1, 16, 4, 4}), vector = values({1, 16});
  expect_same_bits<MMDiT>(config, {1, 5, 24}, [&](const MMDiT& model, const at::Tensor& text) {
    return model.forward({latents, at::tensor({300.0f}), text, vector});
  });
}

TEST(BlockMemory, OfNextDiT) {
  const NextDiTConfig config{.hidden_size = 24,
                             .mlp_size = 48,
                             .num_heads = 2,
                             .num_kv_heads = 1,
                             .num_layers = 4,
                             .num_refiners = 1,
                             .caption_size = 24,
                             .time_size = 24};
  const at::Tensor latents = values({1, 16, 4, 4});
  expect_same_bits<NextDiT>(config, {1, 5, 24}, [&](const NextDiT& model, const at::Tensor& text) {
    return model.forward({latents, at::tensor({0.3f}), text, {}});
  });
}

TEST(BlockMemory, OfUNet) {
  const UNetConfig config{.block_channels = {32, 32},
                          .transformer_depth = {1, 1},
                          .num_heads = {1, 1},
                          .num_resnets_per_block = 1,
                          .context_size = 24,
                          .uses_linear_projection = true};
  const at::Tensor latents = values({1, 4, 8, 8});
  expect_same_bits<UNet>(config, {1, 5, 24}, [&](const UNet& model, const at::Tensor& text) {
    return model.forward({latents, at::tensor({300}), text, {}});
  });
}

}  // namespace
}  // namespace difftune
