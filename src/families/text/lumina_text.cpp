#include "families/text/lumina_text.h"

#include "base/error.h"

namespace difftune {

std::string lumina_prompt(const std::string& system_prompt, const std::string& caption) {
  return system_prompt.empty() ? caption : system_prompt + " <Prompt Start> " + caption;
}

TokenTensors tokenize_lumina_text(const GemmaTokenizer& tokenizer, const std::vector<std::string>& prompts,
                                  int max_length) {
  DT_CHECK(max_length > 0);
  const size_t padded = (static_cast<size_t>(max_length) + 7) / 8 * 8;
  std::vector<TokenRow> rows;
  for (const std::string& prompt : prompts) {
    rows.push_back(tokenizer.row(prompt, max_length));
    rows.back().ids.resize(padded, GemmaTokenizer::kPadId);
    rows.back().mask.resize(padded, 0);
  }
  return stack_rows(rows);
}

Conditioning encode_lumina_text(const Gemma2& gemma, const TokenTensors& tokens, c10::Device device) {
  const at::Tensor ids = tokens.ids.to(device), mask = tokens.mask.to(device);
  return {{"hidden_state", gemma.forward(ids, mask)}, {"input_ids", ids}, {"attention_mask", mask}};
}

}  // namespace difftune
