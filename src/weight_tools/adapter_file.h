// The modules of an adapter file, whichever program wrote it.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weights/tensor_source.h"

namespace difftune {

// The tensors that make up a module. The comments give their shapes; r is the rank, k the kernel.
enum class AdapterPart : int {
  down,        // [r, in] or [r, in, k, k]
  up,          // [out, r] or [out, r, 1, 1]
  mid,         // [r, r, k, k]: a Tucker decomposition of a convolution
  alpha,       // one number
  magnitude,   // DoRA's norms: [out], [out, 1…] or [1, in…]
  hada_w1_a,   // LoHa: [out, r] …
  hada_w1_b,   // … [r, in·k·k]
  hada_w2_a,   //
  hada_w2_b,   //
  hada_t1,     // [r, r, k, k]
  hada_t2,     //
  lokr_w1,     // LoKr: the left factor of a Kronecker product …
  lokr_w1_a,   // … or its two factors
  lokr_w1_b,   //
  lokr_w2,     //
  lokr_w2_a,   //
  lokr_w2_b,   //
  lokr_t2,     //
  oft_blocks,  // [blocks, out / blocks, out / blocks]
  full,        // the whole change of a weight
  num_parts,
};

enum class AdapterKind { lora, loha, lokr, oft, full };
std::string_view adapter_kind_name(AdapterKind kind);

class AdapterFile;

struct AdapterModule {
  std::string name;  // as in the file: "lora_unet_mid_block_attentions_0_proj_in", "transformer.proj_out"
  AdapterKind kind = AdapterKind::lora;
  std::array<std::string, static_cast<size_t>(AdapterPart::num_parts)> keys;  // "" where the module has no such part

  const std::string& key(AdapterPart part) const { return keys[static_cast<size_t>(part)]; }
  bool has(AdapterPart part) const { return !key(part).empty(); }
};

class AdapterFile {
 public:
  // Opens the file and groups its tensors by module. Throws UserError where a module lacks one of its parts or the file
  // has no module at all.
  explicit AdapterFile(const fs::path& path);

  // In the order of their first tensor.
  const std::vector<AdapterModule>& modules() const { return modules_; }
  // Keys that belong to no module.
  const std::vector<std::string>& other_keys() const { return other_keys_; }
  std::vector<std::string> module_names() const;

  TensorInfo info(const AdapterModule& module, AdapterPart part) const { return source_->info(module.key(part)); }
  // The tensor in `dtype`. Throws UserError that names it where it holds a NaN or an infinity.
  at::Tensor tensor(const AdapterModule& module, AdapterPart part, c10::ScalarType dtype) const;
  // The number of columns or rows that the product of factors has inside; 0 where the kind has none.
  int64_t rank(const AdapterModule& module) const;
  // The stored alpha, or nullopt where the module has none: then the change is not scaled.
  std::optional<double> alpha(const AdapterModule& module) const;

  const TensorSource& source() const { return *source_; }
  const fs::path& path() const { return source_->path(); }
  const Metadata& metadata() const { return source_->metadata(); }

 private:
  void check_complete(AdapterModule& module) const;

  std::shared_ptr<const TensorSource> source_;
  std::vector<AdapterModule> modules_;
  std::vector<std::string> other_keys_;
};

}  // namespace difftune
