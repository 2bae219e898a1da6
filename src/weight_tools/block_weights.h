// --lbws: a factor for each block of the U-Net, as A1111's "LoRA Block Weight" extension counts them.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace difftune {

class BlockWeights {
 public:
  // `json` is a list of 12 or 20 (SDXL), 17 or 26 (SD 1.x, 2.x) numbers, such as "[1,0.5,…]". Throws UsageError.
  explicit BlockWeights(const std::string& json);

  // Whether a list of this length counts the blocks of SDXL.
  bool is_for_sdxl() const { return num_weights_ == 12 || num_weights_ == 20; }
  // The factor of a module; 1 where the list says nothing of its block. `is_sdxl` tells which names the blocks have:
  // input_blocks_4_1_… or down_blocks_1_attentions_0_…
  double factor(std::string_view module, bool is_sdxl) const;
  // "BASE=1 IN01=0.5 …" for the log.
  std::string description() const;

  size_t num_weights() const { return num_weights_; }

 private:
  static constexpr size_t kNumBlocks = 26;
  size_t num_weights_ = 0;
  std::array<double, kNumBlocks> factors_;
};

// All lists of --lbws; they have the same length. Throws UsageError.
std::vector<BlockWeights> parse_block_weights(const std::vector<std::string>& lists);

}  // namespace difftune
