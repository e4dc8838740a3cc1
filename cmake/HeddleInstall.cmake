# `cmake --install build/release --prefix /usr [--strip]`: what a package, an image or a node without either has.
#
#   bin/                          heddle-agent  heddle-controller  heddlectl
#   libexec/heddle/heddle-cni     to be copied to where the container runtime looks for plugins
#   libexec/heddle/heddle-cni-stub   what takes its place when Heddle leaves the node
#   lib/systemd/system/           units for nodes without Kubernetes' DaemonSet
#   share/heddle/crds/            our own kinds
#   share/heddle/heddle.json      what `heddlectl install` applies
#   share/doc/heddle/             README and docs/
#   share/{bash-completion,zsh,fish}
include(GNUInstallDirs)

set(heddle_programs heddle-agent heddle-controller heddlectl)
install(TARGETS ${heddle_programs} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS heddle-cni heddle-cni-stub RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/heddle)
install(DIRECTORY deploy/crds/ DESTINATION ${CMAKE_INSTALL_DATADIR}/heddle/crds FILES_MATCHING PATTERN "*.yaml")
install(FILES deploy/manifest/heddle.json DESTINATION ${CMAKE_INSTALL_DATADIR}/heddle)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})
foreach(licence LICENSE LICENSE.md COPYING NOTICE)
  if(EXISTS "${CMAKE_SOURCE_DIR}/${licence}")
    install(FILES ${licence} DESTINATION ${CMAKE_INSTALL_DOCDIR})
  endif()
endforeach()

# Units name the programs where this installation has them, which --prefix decides.
install(CODE "set(HEDDLE_BINDIR \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
foreach(unit heddle-agent heddle-controller)
  set(installed \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/systemd/system/\${unit}.service\")
  message(STATUS \"Installing: \${installed}\")
  configure_file(\"${CMAKE_SOURCE_DIR}/deploy/systemd/\${unit}.service.in\" \"\${installed}\" @ONLY
    FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
endforeach()")

# Completion is what the built programs say of themselves, so it cannot be made for another machine's.
if(CMAKE_CROSSCOMPILING OR HEDDLE_FUZZ OR HEDDLE_COVERAGE)
  return()
endif()
function(heddle_completion program shell directory file)
  set(made "${CMAKE_BINARY_DIR}/completion/${shell}/${file}")
  add_custom_command(OUTPUT "${made}"
    COMMAND /usr/bin/python3 "${CMAKE_SOURCE_DIR}/scripts/completion.py" $<TARGET_FILE:${program}> ${shell} > "${made}"
    DEPENDS ${program} "${CMAKE_SOURCE_DIR}/scripts/completion.py" VERBATIM)
  set_property(GLOBAL APPEND PROPERTY HEDDLE_COMPLETIONS "${made}")
  install(FILES "${made}" DESTINATION ${CMAKE_INSTALL_DATADIR}/${directory})
endfunction()
foreach(shell bash zsh fish)
  file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/completion/${shell}")
endforeach()
foreach(program ${heddle_programs})
  heddle_completion(${program} bash bash-completion/completions ${program})
  heddle_completion(${program} zsh zsh/site-functions _${program})
  heddle_completion(${program} fish fish/vendor_completions.d ${program}.fish)
endforeach()
get_property(completions GLOBAL PROPERTY HEDDLE_COMPLETIONS)
add_custom_target(heddle_completions ALL DEPENDS ${completions})
