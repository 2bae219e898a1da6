// Where the files of published tokenizers lie on this machine.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/files.h"

namespace difftune {

// Finds `file` of the model `id` ("google/gemma-2-2b"): in `cache` (--tokenizer_cache_dir) as google_gemma-2-2b/FILE or
// in the layout of the Hugging Face cache, then in the Hugging Face cache itself (HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE,
// HF_HOME, XDG_CACHE_HOME, ~/.cache). Nothing is downloaded.
std::optional<fs::path> find_tokenizer_file(std::string_view id, std::string_view file,
                                            const std::optional<fs::path>& cache);

}  // namespace difftune
