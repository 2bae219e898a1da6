#include "diffusion/ddpm_schedule.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cumprod.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/rsub.h>
#include <ATen/ops/sqrt.h>

#include <cmath>
#include <utility>
#include <vector>

#include "base/error.h"

namespace difftune {
namespace {

at::Tensor one_minus(const at::Tensor& x) { return at::rsub(x, 1); }

at::Tensor signal_to_noise(const at::Tensor& alphas_cumprod) {
  return at::pow(at::sqrt(alphas_cumprod) / at::sqrt(one_minus(alphas_cumprod)), 2);
}

// Algorithm 1 of arXiv 2305.08891: sqrt(a) is shifted so that its last value is 0 and scaled to keep its first.
at::Tensor with_zero_terminal_snr(const at::Tensor& betas) {
  at::Tensor root = at::sqrt(at::cumprod(one_minus(betas), 0));
  const at::Tensor first = root[0].clone(), last = root[-1].clone();
  root = (root - last) * (first / (first - last));
  const at::Tensor alphas_cumprod = at::pow(root, 2);
  const int64_t count = alphas_cumprod.size(0);
  const at::Tensor ratios = alphas_cumprod.slice(0, 1, count) / alphas_cumprod.slice(0, 0, count - 1);
  return one_minus(at::cat({alphas_cumprod.slice(0, 0, 1), ratios}));
}

// sqrt(a_t) and sqrt(1 - a_t) for each sample, in the dtype of `like` and broadcastable over it.
std::pair<at::Tensor, at::Tensor> signal_and_noise_scale(const at::Tensor& alphas_cumprod, const at::Tensor& timesteps,
                                                         const at::Tensor& like) {
  const at::Tensor alpha =
      at::index_select(alphas_cumprod, 0, timesteps.to(alphas_cumprod.device())).to(like.device(), like.scalar_type());
  return {per_sample(at::pow(alpha, 0.5), like.dim()), per_sample(at::pow(one_minus(alpha), 0.5), like.dim())};
}

}  // namespace

DdpmSchedule::DdpmSchedule(const DdpmScheduleConfig& config, at::Device device) : num_timesteps_(config.num_timesteps) {
  DT_CHECK(config.num_timesteps >= 2, "{} timesteps", config.num_timesteps);
  betas_ = at::pow(at::linspace(std::pow(config.beta_start, 0.5), std::pow(config.beta_end, 0.5), num_timesteps_,
                                at::TensorOptions(at::kFloat)),
                   2);
  alphas_cumprod_ = at::cumprod(one_minus(betas_), 0);
  snr_ = signal_to_noise(alphas_cumprod_);
  if (config.zero_terminal_snr) {
    betas_ = with_zero_terminal_snr(betas_);
    alphas_cumprod_ = at::cumprod(one_minus(betas_), 0);
    if (!config.reference_quirks) snr_ = signal_to_noise(alphas_cumprod_);
  }
  for (at::Tensor* table : {&betas_, &alphas_cumprod_, &snr_}) *table = table->to(device);
}

at::Tensor DdpmSchedule::add_noise(const at::Tensor& latents, const at::Tensor& noise,
                                   const at::Tensor& timesteps) const {
  const auto [signal, sigma] = signal_and_noise_scale(alphas_cumprod_, timesteps, latents);
  return signal * latents + sigma * noise;
}

at::Tensor DdpmSchedule::velocity(const at::Tensor& latents, const at::Tensor& noise,
                                  const at::Tensor& timesteps) const {
  const auto [signal, sigma] = signal_and_noise_scale(alphas_cumprod_, timesteps, latents);
  return signal * noise - sigma * latents;
}

at::Tensor per_sample(const at::Tensor& values, int64_t num_dims) {
  std::vector<int64_t> shape(static_cast<size_t>(num_dims), 1);
  shape[0] = values.numel();
  return values.reshape(shape);
}

}  // namespace difftune
