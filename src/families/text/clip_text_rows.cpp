#include "families/text/clip_text_rows.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/index.h>

#include <algorithm>

#include "text/prompt_tokens.h"

namespace difftune {

std::shared_ptr<const ClipTokenizer> load_clip_tokenizer(const std::string& id,
                                                         const std::optional<fs::path>& tokenizer_cache,
                                                         const ClipTokenizer& builtin) {
  std::string folder = id;
  std::replace(folder.begin(), folder.end(), '/', '_');
  if (tokenizer_cache && fs::exists(*tokenizer_cache / folder / "vocab.json")) {
    return std::make_shared<const ClipTokenizer>(ClipTokenizer::from_folder(*tokenizer_cache / folder));
  }
  return {std::shared_ptr<void>(), &builtin};
}

TokenTensors tokenize_clip_rows(const ClipTokenizer& tokenizer, const std::vector<std::string>& texts, int32_t pad_id) {
  std::vector<TokenRow> rows;
  for (const std::string& text : texts) {
    const std::vector<int32_t> ids = tokenizer.encode(text);
    const auto num_kept = static_cast<int>(std::min<size_t>(ids.size(), kClipChunkLength - 2));
    TokenRow row{{tokenizer.bos_id()}};
    row.ids.insert(row.ids.end(), ids.begin(), ids.begin() + num_kept);
    row.ids.push_back(tokenizer.eos_id());
    row.mask.assign(row.ids.size(), 1);
    row.ids.resize(kClipChunkLength, pad_id);
    row.mask.resize(kClipChunkLength, 0);
    rows.push_back(std::move(row));
  }
  return stack_rows(rows);
}

at::Tensor state_of_eos(const at::Tensor& hidden, const at::Tensor& ids) {
  const at::Tensor rows = at::arange(hidden.size(0), ids.options());
  return at::index(hidden, {rows, at::argmax(ids, 1)});
}

}  // namespace difftune
