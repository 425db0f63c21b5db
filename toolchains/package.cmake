# A Debian package of the program: `cpack -G DEB` in a build directory. Version and description are the
# project's own. Libraries it depends on are found by dpkg-shlibdeps; a cross build is packaged only
# where it is static and depends on nothing (presets release and arm64-static).
set(CPACK_PACKAGE_NAME gemlet)
set(CPACK_PACKAGE_VENDOR "the gemlet project")
set(CPACK_PACKAGE_CONTACT "the gemlet project <gemlet@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program)
set(CPACK_GENERATOR DEB)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME gemlet)
set(CPACK_DEBIAN_PROGRAM_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION
    "Chats, describes pictures and writes recordings down with Gemma 4, offline, from the checkpoints of
Hugging Face and from GGUF files.")
if(CMAKE_CROSSCOMPILING)
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
  string(APPEND CPACK_COMPONENT_PROGRAM_DESCRIPTION " Opens WAV sounds and PPM pictures.")
else()
  string(APPEND CPACK_COMPONENT_PROGRAM_DESCRIPTION " Serves the OpenAI API on this machine.")
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
endif()
install(FILES toolchains/copyright DESTINATION share/doc/gemlet COMPONENT program)
if(NOT CMAKE_CROSSCOMPILING OR CMAKE_EXE_LINKER_FLAGS MATCHES "-static")
  include(CPack)
endif()
