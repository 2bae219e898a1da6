#include "generate/sample_prompts.h"

#include <gmock/gmock.h>

#include <unistd.h>
#include <fstream>

#include "base/error.h"
#include "generate/prompt_dialogue.h"

namespace difftune {
namespace {

fs::path write(const std::string& name, const std::string& text) {
  const fs::path path = fs::path(testing::TempDir()) / (std::to_string(getpid()) + "_" + name);
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

std::string refusal(const std::string& name, const std::string& text, const std::string& sampler = "ddim") {
  try {
    read_sample_prompts(write(name, text), {}, sampler);
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(SamplePromptsTest, lines_with_flags) {
  const auto prompts = read_sample_prompts(
      write("lines.txt",
            "\xEF\xBB\xBF# a comment\r\n\r\n  n a cat, in-hat  \r\n"
            "masterpiece --n low quality, bad --w 769 --H 500 --d 18446744073709551615 --s 2000 --l 7 --ss euler_a\r\n"
            "tiny --w 3 --s 0 --l .5 --g 3"));
  ASSERT_EQ(prompts.size(), 3);
  EXPECT_EQ(prompts[0].prompt, "n a cat, in-hat");
  EXPECT_EQ(prompts[0].negative_prompt, "");
  EXPECT_EQ(prompts[0].width_px, 512);
  EXPECT_EQ(prompts[0].height_px, 512);
  EXPECT_EQ(prompts[0].num_steps, 30);
  EXPECT_EQ(prompts[0].scale, 7.5);
  EXPECT_FALSE(prompts[0].seed || prompts[0].sampler);
  EXPECT_EQ(prompts[1].prompt, "masterpiece");
  EXPECT_EQ(prompts[1].negative_prompt, "low quality, bad");
  EXPECT_EQ(prompts[1].width_px, 768);
  EXPECT_EQ(prompts[1].height_px, 496);
  EXPECT_EQ(prompts[1].seed, UINT64_MAX);
  EXPECT_EQ(prompts[1].num_steps, 1000);
  EXPECT_EQ(prompts[1].scale, 7);
  EXPECT_EQ(prompts[1].sampler, "euler_a");
  EXPECT_EQ(prompts[2].width_px, 64);
  EXPECT_EQ(prompts[2].num_steps, 1);
  EXPECT_EQ(prompts[2].scale, 0.5);
}

TEST(SamplePromptsTest, toml_subsets_inherit) {
  const auto prompts =
      read_sample_prompts(write("prompts.toml",
                                "[prompt]\nwidth = 640\nscale = 4\nnegative_prompt = \"bad\"\n"
                                "[[prompt.subset]]\nprompt = \"a\"\nseed = 1\n"
                                "[[prompt.subset]]\nprompt = \"b\"\nwidth = 256\nsample_steps = 12\n"));
  ASSERT_EQ(prompts.size(), 2);
  EXPECT_EQ(prompts[0].prompt, "a");
  EXPECT_EQ(prompts[0].seed, 1);
  EXPECT_EQ(prompts[0].width_px, 640);
  EXPECT_EQ(prompts[1].width_px, 256);
  EXPECT_EQ(prompts[1].num_steps, 12);
  EXPECT_EQ(prompts[1].scale, 4);
  EXPECT_EQ(prompts[1].negative_prompt, "bad");
}

TEST(SamplePromptsTest, json_has_lines_and_objects) {
  const auto prompts = read_sample_prompts(
      write("prompts.json", R"(["a cat --w 256", {"prompt": "a dog", "height": 320, "sample_sampler": "heun"}])"));
  ASSERT_EQ(prompts.size(), 2);
  EXPECT_EQ(prompts[0].prompt, "a cat");
  EXPECT_EQ(prompts[0].width_px, 256);
  EXPECT_EQ(prompts[1].height_px, 320);
  EXPECT_EQ(prompts[1].sampler, "heun");
}

TEST(SamplePromptsTest, bad_lines_are_refused_with_their_place) {
  using testing::HasSubstr;
  const auto bad = [](const std::string& line) { return refusal("bad.txt", "fine\n# note\n" + line + "\n"); };
  EXPECT_THAT(bad("a --x 3"), HasSubstr("bad.txt:3: unknown flag '--x', expected one of --n, --w"));
  EXPECT_THAT(bad("a --w"), HasSubstr("bad.txt:3: --w: its value is missing"));
  EXPECT_THAT(bad("a --w 512px"), HasSubstr("bad.txt:3: --w 512px: expected a whole number"));
  EXPECT_THAT(bad("a --w 0"), HasSubstr("expected 1 to 16384 px, got 0"));
  EXPECT_THAT(bad("a --d -1"), HasSubstr("--d -1: expected a whole number from 0"));
  EXPECT_THAT(bad("a --d 18446744073709551616"), HasSubstr("expected a whole number from 0"));
  EXPECT_THAT(bad("a --l 1.2.3"), HasSubstr("--l 1.2.3: expected a number"));
  EXPECT_THAT(bad("a --l nan"), HasSubstr("expected 0 to 1000"));
  EXPECT_THAT(bad("a --ss dpm"), HasSubstr("bad.txt:3: unknown sampler 'dpm', expected one of ddim"));
  EXPECT_THAT(bad("a --ss pndm --s 2"), HasSubstr("bad.txt:3: sampler pndm needs 4 steps"));
  EXPECT_THAT(bad("a --cn edges.png"), HasSubstr("ControlNet are not available"));
  EXPECT_THAT(bad("a \xff"), HasSubstr("bad.txt:3: the file is not UTF-8"));
  EXPECT_THAT(refusal("few.txt", "a --s 2", "pndm"), HasSubstr("sampler pndm needs 4 steps"));
}

TEST(SamplePromptsTest, bad_files_are_refused) {
  using testing::HasSubstr;
  EXPECT_THAT(refusal("empty.txt", "# nothing\n\n"), HasSubstr("empty.txt: holds no prompts"));
  EXPECT_THAT(refusal("prompts.yaml", "a"), HasSubstr("ends with .txt, .toml or .json"));
  EXPECT_THROW(read_sample_prompts("/no/such/file.txt"), UserError);
  EXPECT_THAT(refusal("a.toml", "[prompt]\n[[prompt.subset]]\nwidht = 3\n"), HasSubstr("a.toml:3"));
  EXPECT_THAT(refusal("a.toml", "[prompt]\n[[prompt.subset]]\nwidth = \"3\"\n"), HasSubstr("a.toml:3: width"));
  EXPECT_THAT(refusal("a.toml", "[prompt]\nseed = -4\n"), HasSubstr("a.toml:2: seed in [prompt]: expected 0 or more"));
  EXPECT_THAT(refusal("a.toml", "[prompt]\nprompt = \"a\"\nsample_sampler = \"dpm\"\n"), HasSubstr("a.toml:3"));
  EXPECT_THAT(refusal("a.toml", "prompts = 3\n"), HasSubstr("a.toml:1"));
  EXPECT_THAT(refusal("a.toml", "\n"), HasSubstr("no [prompt]"));
  EXPECT_THAT(refusal("a.json", "{\"prompt\": 1}"), HasSubstr("expected a list of prompts"));
  EXPECT_THAT(refusal("a.json", "[1]"), HasSubstr("a.json: prompt 1: expected a text or an object, got number"));
  EXPECT_THAT(refusal("a.json", "[\"a\""), HasSubstr("a.json: not valid JSON"));
  EXPECT_THAT(refusal("a.json", "[{\"width\": 1.5}]"), HasSubstr("width in prompt 1"));
  EXPECT_THAT(refusal("a.json", "[{\"controlnet_image\": \"x.png\"}]"), HasSubstr("not available"));
}

using testing::HasSubstr;

PictureTraits traits_of_a_flow_model() {
  PictureTraits traits;
  traits.side_px = 1024;
  traits.side_step_px = 16;
  traits.num_steps = 20;
  traits.scale = 1;
  traits.has_samplers = false;
  traits.guidance = 3.5;
  traits.limits = GuidanceLimits();
  return traits;
}

TEST(SamplePromptsTest, a_model_decides_what_its_prompts_may_say) {
  const fs::path file = write("flow.txt", "a\nb --w 100 --g 2 --ctr 0.5 --rcfg 0 --ss nothing\n");
  const auto prompts = read_sample_prompts(file, traits_of_a_flow_model());
  ASSERT_EQ(prompts.size(), 2);
  EXPECT_EQ(prompts[0].width_px, 1024);
  EXPECT_EQ(prompts[0].num_steps, 20);
  EXPECT_EQ(prompts[0].guidance, 3.5);
  EXPECT_EQ(prompts[1].width_px, 96);
  EXPECT_EQ(prompts[1].guidance, 2);
  EXPECT_EQ(prompts[1].limits->end, 0.5);
  EXPECT_EQ(prompts[1].limits->largest_norm, 0);
  EXPECT_FALSE(prompts[1].sampler);
  EXPECT_FALSE(is_guided(prompts[0], traits_of_a_flow_model()));
  const auto of_ddpm = read_sample_prompts(write("ddpm.toml", "[prompt]\nprompt = \"a\"\nguidance_scale = 2.0\n"));
  EXPECT_FALSE(of_ddpm[0].guidance);
}

TEST(SamplePromptsTest, prompts_that_are_typed_in) {
  const PictureTraits traits = traits_of_a_flow_model();
  const DialogueFlag flags[] = {{"w", "width"}, {"n", "negative_prompt"}, {"c", "scale"}};
  SamplePrompt start = default_prompt(traits);
  start.negative_prompt = "blurred";
  const auto typed = parse_typed_prompt(" a cat --w512 --c 2.5 --n - --m 0.5, 1", start, flags, traits);
  EXPECT_EQ(typed.prompt.prompt, "a cat");
  EXPECT_EQ(typed.prompt.negative_prompt, "");
  EXPECT_EQ(typed.prompt.width_px, 512);
  EXPECT_EQ(typed.prompt.scale, 2.5);
  EXPECT_EQ(typed.multipliers, (std::vector<double>{0.5, 1}));
  EXPECT_EQ(parse_typed_prompt("--w 64", start, flags, traits).prompt.prompt, "");
  const auto refused = [&](const char* line) {
    try {
      parse_typed_prompt(line, start, flags, traits);
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(refused("a --w 40"), HasSubstr("--w 40: expected a multiple of 16: 32 or 48"));
  EXPECT_THAT(refused("a --s 3"), HasSubstr("unknown flag '--s', expected one of --w, --n, --c, --m"));
  EXPECT_THAT(refused("a --c x"), HasSubstr("--c x: expected a number"));
  EXPECT_THAT(refused("a --m 1,x"), HasSubstr("--m 1,x: expected numbers"));
}

}  // namespace
}  // namespace difftune
