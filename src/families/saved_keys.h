// What becomes of a checkpoint's tensors when the reference loads the model and saves it in another precision.
#pragma once

#include <string>

#include "weights/tensor_source.h"

namespace difftune {

struct SavedKey {
  enum class How { converted, as_stored, left_out } how = How::converted;
  std::string name;  // under which it is written
};

// SD 1.x and 2.x: what belongs to no part of the model stays as it is, and old spellings of text encoder keys become
// the usual ones. SDXL: what belongs to no part of the model is left out. Other files are converted whole.
class SavedKeys {
 public:
  explicit SavedKeys(const TensorSource& checkpoint);
  SavedKey operator()(const std::string& key) const;

 private:
  enum class Layout { sd, sdxl, other } layout_ = Layout::other;
  std::string unused_text_layer_;  // of SD 2.x: the last one
};

}  // namespace difftune
