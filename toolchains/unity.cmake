# Joined files (GEMLET_JOIN_FILES, on in the presets that tests/run.sh builds beside `dev`): up to eight .cpp files of one
# folder are compiled as one, so that the headers they share are read once. It halves the time that they take to compile.
# `dev` and `release` compile each file by itself, so a missing include is found there.
#
# Files of one folder must then not give the same name to different things in their anonymous namespaces. Where they
# do, rename one, or list the file here: these are compiled by themselves.
set(GEMLET_APART_FILES
  core/json_events.cpp core/threads/topology_hwloc.cpp
  core/files/safetensors_parse.cpp core/audio/subsample.cpp
  quant/formats/quantize.cpp
  quant/convert/gguf_writer.cpp quant/convert/linear_algebra_eigen.cpp quant/convert/magnitudes.cpp quant/convert/mobile.cpp
  quant/convert/mobile_towers.cpp
  frontends/text/tokenizer/piece_map.cpp
  frontends/text/chat/parser.cpp frontends/text/chat/python_text.cpp frontends/text/chat/renderer.cpp
  frontends/image/resize.cpp frontends/image/video_ffmpeg.cpp frontends/image/formats/jpeg_reader.cpp
  frontends/image/formats/bmp_reader.cpp frontends/image/formats/gif_reader.cpp
  frontends/image/formats/png_reader.cpp frontends/image/formats/webp_reader.cpp
  frontends/audio/source_mpg123.cpp frontends/audio/source_ffmpeg.cpp
  frontends/transcribe/compression_zlib.cpp frontends/transcribe/transcriber.cpp
  frontends/server/chat_endpoint.cpp frontends/server/speech_endpoint.cpp frontends/server/status_endpoints.cpp
  frontends/server/api/speech_request.cpp
  frontends/cli/bench_command.cpp frontends/cli/line_editor_libedit.cpp frontends/cli/options.cpp
  frontends/cli/perplexity_compare.cpp
  tests/formats/float16_test.cpp tests/formats/quantize_test.cpp
  tests/core/safetensors_test.cpp tests/core/batch_test.cpp tests/core/head_test.cpp
  tests/convert/mobile_conversion_test.cpp tests/media/sound_encoder_test.cpp tests/server/service_test.cpp)

# gemlet_join_files(TARGET..): joins the files of each target, folder by folder. Files with options of their own
# (instruction sets, third-party headers) stay apart by themselves.
function(gemlet_join_files)
  foreach(target IN LISTS ARGN)
    get_target_property(files ${target} SOURCES)
    get_target_property(base ${target} SOURCE_DIR)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
    set(previous "")
    set(n_in_folder 0)
    foreach(file IN LISTS files)
      if(NOT file MATCHES "^[^$].*\\.cpp$")
        continue()
      endif()
      cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${base} NORMALIZE OUTPUT_VARIABLE path)
      cmake_path(RELATIVE_PATH path BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE name)
      if(name IN_LIST GEMLET_APART_FILES)
        continue()
      endif()
      cmake_path(GET name PARENT_PATH folder)
      if(NOT folder STREQUAL previous)
        set(previous ${folder})
        set(n_in_folder 0)
      endif()
      math(EXPR part "${n_in_folder} / 8")
      math(EXPR n_in_folder "${n_in_folder} + 1")
      string(MAKE_C_IDENTIFIER "${folder}_${part}" group)
      set_source_files_properties(${path} TARGET_DIRECTORY ${target} PROPERTIES UNITY_GROUP ${group})
    endforeach()
  endforeach()
endfunction()

# Rooms, and tests by room. Kernels stay apart: most have an instruction set's options.
set(GEMLET_JOINED_TESTS formats kernels core convert text image audio vision sound media transcribe server c_api golden)
if(GEMLET_JOIN_FILES)
  gemlet_join_files(gemlet_formats gemlet_core gemlet_convert gemlet_text gemlet_grammar gemlet_image gemlet_audio
                    gemlet_media gemlet_transcribe gemlet_server gemlet_c_api gemlet_cli)
endif()
