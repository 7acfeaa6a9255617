# fish completion of rehostd: the program itself knows its words.

function __rehostd_complete
	set -l words (commandline -opc)
	set -l current (commandline -ct)
	for line in (command rehostd --complete $words[2..-1] "$current" 2>/dev/null)
		switch $line
			case :files
				__fish_complete_path "$current"
			case :directories
				__fish_complete_directories "$current" ''
			case '*'
				echo $line
		end
	end
end

complete -c rehostd -f -a '(__rehostd_complete)'
