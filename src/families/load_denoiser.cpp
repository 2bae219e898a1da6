#include "families/load_denoiser.h"

#include "base/error.h"

namespace difftune {

std::vector<std::string> last_blocks(const nn::NamedBlocks& blocks, int64_t count) {
  const auto total = static_cast<int64_t>(blocks.size());
  if (count > total - 2) {
    throw UsageError(fmt::format("--blocks_to_swap {}: of this model's {} blocks at most {} can wait in main memory",
                                 count, total, std::max<int64_t>(total - 2, 0)));
  }
  std::vector<std::string> paths;
  for (int64_t i = total - count; i < total; ++i) paths.push_back(blocks[static_cast<size_t>(i)].first);
  return paths;
}

}  // namespace difftune
