#include "options/groups/huggingface.h"

#include "options/option_table.h"

namespace difftune {

void describe(HuggingfaceOptions& options, OptionTable& table) {
  table.group("Hugging Face hub");
  table.add("huggingface_repo_id", &options.huggingface_repo_id, "Repository that weights are uploaded to.",
            {.metavar = "USER/NAME"});
  table.add("huggingface_repo_type", &options.huggingface_repo_type, "Its type, usually model.");
  table.add("huggingface_path_in_repo", &options.huggingface_path_in_repo, "Folder in it.", {.metavar = "PATH"});
  table.add("huggingface_token", &options.huggingface_token, "Token that may write to it.",
            {.metavar = "TOKEN", .secret = true});
  table.add("huggingface_repo_visibility", &options.huggingface_repo_visibility,
            "public or private; private without it.");
  table.add("save_state_to_huggingface", &options.save_state_to_huggingface, "Upload states too.");
  table.add("resume_from_huggingface", &options.resume_from_huggingface,
            "Read --resume from the hub: USER/NAME/PATH:REVISION:TYPE.");
  table.add("async_upload", &options.async_upload, "Go on training during an upload.");
}

}  // namespace difftune
